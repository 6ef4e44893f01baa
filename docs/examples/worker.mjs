import { connect } from '@popmq/client'

const mq = await connect(process.env['POPMQ_SERVER'] ?? 'localhost:7700')
const isThere = (await mq.admin().listTopics()).some(({ name }) => name === 'mails')
if (!isThere) await mq.admin().createTopic('mails', { partitions: 4 })
await mq.admin().groups().setConfig('mailer', { maxAttempts: '3', backoff: '200ms' })
for (const to of ['ann', 'bob', 'nobody'])
  await mq.producer().send({ topic: 'mails', value: { to } })

const worker = mq.worker({ group: 'mailer', topics: ['mails'] }, ({ value }, { attempt }) => {
  if (value.to === 'nobody') throw new Error(`no such mailbox: ${value.to}`)
  console.log(`sent to ${value.to}, attempt ${attempt}`)
})
while (worker.stats().acked < 2 || worker.stats().dead < 1)
  await new Promise((go) => setTimeout(go, 50))
await worker.close()
for await (const { attempts, error } of mq.admin().deadLetters('mailer').list())
  console.log(`dead after ${attempts} attempts: ${error}`)
await mq.close()
