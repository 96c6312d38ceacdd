import { StreamExecutionEnvironment } from 'flott'

const env = StreamExecutionEnvironment.getExecutionEnvironment()
const numbers = env.fromSequence(1, 9, 'numbers')
numbers.map((n) => n + 1, { uid: 'step', name: 'adds one' }).print()
numbers.map((n) => n * 2, { uid: 'step', name: 'doubles' }).print()
await env.execute('one uid, two operators')
