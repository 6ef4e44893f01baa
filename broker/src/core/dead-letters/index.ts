export { DeadLetters } from './dead-letters.ts'
export { LetterChanges } from './letter-changes.ts'
export { letterReport } from './letter-report.ts'
