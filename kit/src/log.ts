/** Log levels, from quiet to loud. */
export const logLevels = ['silent', 'error', 'warn', 'info', 'debug'] as const
export type LogLevel = (typeof logLevels)[number]

/** What an event carries: plain values, units last in the names. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>

/** Logs are events with fields, written at the boundary, once. Core never logs; it returns. */
export interface Log {
  error(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  info(event: string, fields?: LogFields): void
  debug(event: string, fields?: LogFields): void
}

/** A log that writes one line per event: `2026-01-01T00:00:00.000Z info segment_rolled base=0 bytes=1024`. */
export function lineLog(write: (line: string) => void, now: () => number, level: LogLevel): Log {
  const loudest = logLevels.indexOf(level)
  const at =
    (eventLevel: Exclude<LogLevel, 'silent'>) =>
    (event: string, fields: LogFields = {}): void => {
      if (logLevels.indexOf(eventLevel) > loudest) return
      const words = Object.entries(fields)
        .filter(([, value]) => value !== undefined)
        .map(
          ([name, value]) =>
            ` ${name}=${typeof value === 'string' ? JSON.stringify(value) : value}`,
        )
      write(`${new Date(now()).toISOString()} ${eventLevel} ${event}${words.join('')}`)
    }
  return { error: at('error'), warn: at('warn'), info: at('info'), debug: at('debug') }
}

/** Says nothing. */
export const silentLog: Log = lineLog(
  () => undefined,
  () => 0,
  'silent',
)
