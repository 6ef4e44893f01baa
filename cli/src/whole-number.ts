import { MqError } from '@popmq/protocol'

/** A parser of whole numbers in [low, high]. It throws MqError `invalid_request`. */
export function wholeNumber(low: number, high = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN
    if (value >= low && value <= high) return value
    const bounds =
      high === Number.MAX_SAFE_INTEGER ? `of at least ${low}` : `from ${low} to ${high}`
    throw new MqError('invalid_request', `${JSON.stringify(text)} is not a whole number ${bounds}`)
  }
}
