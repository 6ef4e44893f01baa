/** Columns as wide as their widest cell, two blanks apart; columns of numbers stand right. Ends with a newline. */
export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const columns = head.map((title, index) => {
    const cells = rows.map((row) => row[index] ?? '')
    const width = Math.max(title.length, ...cells.map((cell) => cell.length))
    const isNumeric = cells.length > 0 && cells.every((cell) => /^[\d.,]*$/.test(cell))
    return { width, isNumeric }
  })
  const line = (cells: readonly string[]): string =>
    columns
      .map(({ width, isNumeric }, index) => {
        const cell = cells[index] ?? ''
        return isNumeric ? cell.padStart(width) : cell.padEnd(width)
      })
      .join('  ')
      .trimEnd()
  return `${[head, ...rows].map(line).join('\n')}\n`
}
