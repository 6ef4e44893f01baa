import { connect } from '@popmq/client'

const mq = await connect(process.env['POPMQ_SERVER'] ?? 'localhost:7700')
const isThere = (await mq.admin().listTopics()).some(({ name }) => name === 'orders')
if (!isThere) await mq.admin().createTopic('orders', { partitions: 4 })
const order = { topic: 'orders', key: 'o-17', value: { total: 42 } }
const { partition, offset } = await mq.producer().send(order)
const consumer = mq.pullConsumer({ partitions: [{ topic: 'orders', partition }], from: offset })
for (const { key, value } of await consumer.receive({ max: 1 })) console.log(key, value)
console.log('go on at', consumer.position('orders', partition))
await mq.close()
