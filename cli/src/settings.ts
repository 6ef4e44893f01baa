import { type LogLevel, logLevels, nearest } from '@popmq/kit'
import { MqError } from '@popmq/protocol'
import { checkKeys } from './pair.ts'

/** What every command knows. Flag > environment > config file > default. */
export interface Settings {
  /** Coordinators: host:port[,host:port…]. */
  readonly server: string
  /** Those of the flag alone: what would write much asks for it by name. */
  readonly serverFlag: string | undefined
  readonly json: boolean
  /** undefined: the command's own default. */
  readonly logLevel: LogLevel | undefined
}

/** The flags of every command. */
export interface CommonFlags {
  readonly server?: string
  readonly json?: boolean
  readonly logLevel?: LogLevel
  readonly config?: string
}

export interface SettingsSources {
  readonly flags: CommonFlags
  readonly environment: Readonly<Record<string, string | undefined>>
  /** @returns undefined when there is no such file */
  readonly readText: (path: string) => string | undefined
}

const defaultConfigFile = './popmq.json'
const defaultServer = 'localhost:7700'
const configKeys = ['server', 'logLevel']

/** @throws MqError `invalid_config` for a config file that is missing (when named), not JSON, or says what it may not */
export function readSettings({ flags, environment, readText }: SettingsSources): Settings {
  const config = readConfig(flags.config, readText)
  const fromEnvironment = environment['POPMQ_SERVER']
  const named =
    flags.server ?? (fromEnvironment === '' ? undefined : fromEnvironment) ?? config.server
  return {
    server: named ?? defaultServer,
    serverFlag: flags.server,
    json: flags.json ?? false,
    logLevel: flags.logLevel ?? config.logLevel,
  }
}

/** @throws MqError `invalid_request` naming the nearest level */
export function parseLogLevel(text: string): LogLevel {
  const level = logLevels.find((name) => name === text)
  if (level !== undefined) return level
  const near = nearest(text, logLevels)
  const hint = near === undefined ? `one of ${logLevels.join(', ')}` : `did you mean ${near}?`
  throw new MqError('invalid_request', `${JSON.stringify(text)} is not a log level: ${hint}`)
}

function readConfig(
  named: string | undefined,
  readText: SettingsSources['readText'],
): { server?: string; logLevel?: LogLevel } {
  const path = named ?? defaultConfigFile
  const text = readText(path)
  if (text === undefined) {
    if (named === undefined) return {}
    throw new MqError('invalid_config', `there is no config file ${JSON.stringify(path)}`)
  }
  const config = parseObject(text, path)
  try {
    checkKeys(Object.keys(config), configKeys)
    const server = optionalText(config, 'server')
    const logLevel = optionalText(config, 'logLevel')
    return {
      ...(server === undefined ? {} : { server }),
      ...(logLevel === undefined ? {} : { logLevel: parseLogLevel(logLevel) }),
    }
  } catch (cause) {
    if (!(cause instanceof MqError)) throw cause
    throw new MqError('invalid_config', `${path}: ${cause.what}`, { cause })
  }
}

function parseObject(text: string, path: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  } catch (cause) {
    throw new MqError('invalid_config', `${path} is not JSON: ${String(cause)}`, { cause })
  }
  throw new MqError('invalid_config', `${path} must hold one JSON object`)
}

function optionalText(config: Record<string, unknown>, key: string): string | undefined {
  const value = config[key]
  if (value === undefined || typeof value === 'string') return value
  throw new MqError('invalid_request', `${key} must be text`)
}
