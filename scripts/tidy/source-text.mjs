// @ts-check
/**
 * Reads TypeScript and JavaScript just well enough to tell code from comments and strings.
 * What is taken out is replaced by spaces, so every index and line number stays true.
 */

/**
 * @typedef {object} SourceText
 * @property {string} withStrings the code with its strings, without comments
 * @property {string} bare the code without strings, comments and regular expressions
 */

const quotes = new Set(['"', "'"])
const beforeRegex =
  /(?:^|[(,=:[!&|?{};+\-*%<>~^]|=>|\b(?:return|typeof|case|of|in|void|await|yield))$/

/**
 * @param {string} text
 * @returns {SourceText}
 */
export function readSource(text) {
  const reader = new Reader(text)
  reader.read()
  return { withStrings: reader.withStrings, bare: reader.bare }
}

/**
 * @param {string} text
 * @param {number} index
 * @returns {number} from 1
 */
export function lineAt(text, index) {
  let line = 1
  for (let at = text.indexOf('\n'); at !== -1 && at < index; at = text.indexOf('\n', at + 1)) line++
  return line
}

class Reader {
  withStrings = ''
  bare = ''
  #text
  #at = 0
  /** Depth of braces inside each open `${`, innermost last. @type {number[]} */
  #holes = []

  /** @param {string} text */
  constructor(text) {
    this.#text = text
  }

  read() {
    if (this.#text.startsWith('#!')) this.#skip(this.#find('\n'), 'comment')
    while (this.#at < this.#text.length) this.#step()
  }

  #step() {
    const char = this.#text.charAt(this.#at)
    const pair = this.#text.slice(this.#at, this.#at + 2)
    if (pair === '//') this.#skip(this.#find('\n'), 'comment')
    else if (pair === '/*') this.#skip(this.#find('*/', 2), 'comment')
    else if (quotes.has(char)) this.#skip(this.#closing(char), 'string')
    else if (char === '`') this.#template()
    else if (char === '/' && beforeRegex.test(this.bare.trimEnd().slice(-12))) this.#regex()
    else this.#code(char)
  }

  /** @param {string} char */
  #code(char) {
    const depth = this.#holes.at(-1)
    if (depth !== undefined && char === '{') this.#holes[this.#holes.length - 1] = depth + 1
    if (depth !== undefined && char === '}') {
      if (depth === 0) {
        this.#holes.pop()
        this.#template()
        return
      }
      this.#holes[this.#holes.length - 1] = depth - 1
    }
    this.withStrings += char
    this.bare += char
    this.#at++
  }

  /** From a backquote, or from the brace that closes a hole, to the end of that stretch of text. */
  #template() {
    let end = this.#at + 1
    while (end < this.#text.length) {
      if (this.#text[end] === '\\') end++
      else if (this.#text[end] === '`') break
      else if (this.#text.startsWith('${', end)) {
        this.#holes.push(0)
        end++
        break
      }
      end++
    }
    this.#skip(end + 1, 'string')
  }

  #regex() {
    let end = this.#at + 1
    let inClass = false
    while (end < this.#text.length && this.#text[end] !== '\n') {
      const char = this.#text[end]
      if (char === '\\') end++
      else if (char === '[') inClass = true
      else if (char === ']') inClass = false
      else if (char === '/' && !inClass) break
      end++
    }
    this.#skip(end + 1, 'string')
  }

  /** @param {string} quote */
  #closing(quote) {
    let end = this.#at + 1
    while (end < this.#text.length && this.#text[end] !== quote && this.#text[end] !== '\n') {
      end += this.#text[end] === '\\' ? 2 : 1
    }
    return end + 1
  }

  /**
   * @param {string} mark
   * @param {number} [extra] how much of the mark belongs to what is found
   */
  #find(mark, extra = 0) {
    const found = this.#text.indexOf(mark, this.#at + extra)
    return found === -1 ? this.#text.length : found + extra
  }

  /**
   * @param {number} end
   * @param {'comment' | 'string'} kind
   */
  #skip(end, kind) {
    const piece = this.#text.slice(this.#at, end)
    const blank = piece.replace(/[^\n]/g, ' ')
    this.withStrings += kind === 'string' ? piece : blank
    // A quote mark stays, so that `import 'x'` and `x = ''` keep their shape.
    this.bare += kind === 'string' && blank.length > 0 ? `"${blank.slice(1)}` : blank
    this.#at += piece.length
  }
}
