import { MqError } from '@popmq/client'

/** The sum of a metric without labels over pages in the format of Prometheus. @throws MqError `internal` when one lacks it */
export function sumOf(name: string, pages: readonly string[]): number {
  const line = new RegExp(`^${name} (\\S+)$`, 'm')
  return pages.reduce((sum, page) => {
    const found = line.exec(page)
    if (found === null) throw new MqError('internal', `a broker has no metric ${name}`)
    return sum + Number(found[1])
  }, 0)
}

/** The pages of roles at these addresses. */
export function readPages(addresses: readonly string[]): Promise<readonly string[]> {
  return Promise.all(
    addresses.map(async (address) => (await fetch(`http://${address}/metrics`)).text()),
  )
}
