import { MqError } from '@popmq/protocol'

/** The coordinator knows the member no more, or not its group. */
export function isSessionOver({ name }: MqError): boolean {
  return name === 'member_unknown' || name === 'group_not_found'
}

export function sessionOver(): MqError {
  return new MqError('member_unknown', 'the session of the member was over')
}
