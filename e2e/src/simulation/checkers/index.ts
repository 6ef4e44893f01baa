import type { Checker, History, Violation } from '../history.ts'
import { ackedIsFinal } from './acked-is-final.ts'
import { attempts } from './attempts.ts'
import { deadTold } from './dead-told.ts'
import { delayedOnce } from './delayed-once.ts'
import { deliveryLoss } from './delivery-loss.ts'
import { groupLoss } from './group-loss.ts'
import { groupOrder } from './group-order.ts'
import { neverEarly } from './never-early.ts'
import { noLoss } from './no-loss.ts'
import { offsetReuse } from './offset-reuse.ts'
import { oneLease } from './one-lease.ts'
import { order } from './order.ts'
import { phantom } from './phantom.ts'
import { progressRegress } from './progress-regress.ts'
import { redelivery } from './redelivery.ts'
import { trueAnswers } from './true-answers.ts'
import { trueReceipts } from './true-receipts.ts'
import { twoOwners } from './two-owners.ts'

const checkers: readonly Checker[] = [
  noLoss,
  order,
  offsetReuse,
  phantom,
  trueReceipts,
  twoOwners,
  progressRegress,
  redelivery,
  groupOrder,
  groupLoss,
  deliveryLoss,
  ackedIsFinal,
  oneLease,
  attempts,
  trueAnswers,
  neverEarly,
  delayedOnce,
  deadTold,
]

/** Judges a finished history by every checker. @returns `[]` when all is as it was promised */
export function judge(history: History): Violation[] {
  return checkers.flatMap((checker) => checker(history))
}
