/** Ms on the clock that all processes of this machine share, with fractions. */
export function sharedMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
