import test from 'ava'
import { WatermarkValve } from '#taskmanager/task/watermark-valve.js'

test('the least of the channels, strictly increasing', (t) => {
  const valve = new WatermarkValve(2)
  t.deepEqual(valve.watermarkReceived(0, 10), {})
  t.deepEqual(valve.watermarkReceived(1, 5), { watermark: 5 })
  t.deepEqual(valve.watermarkReceived(1, 5), {})
  t.deepEqual(valve.watermarkReceived(1, 20), { watermark: 10 })
  t.is(valve.current, 10)
})

test('idle channels hold nothing back, and all idle is told', (t) => {
  const valve = new WatermarkValve(2)
  valve.watermarkReceived(0, 10)
  t.deepEqual(valve.statusReceived(1, true), { watermark: 10 })
  t.deepEqual(valve.statusReceived(0, true), { idle: true })
  t.deepEqual(valve.statusReceived(1, false), { idle: false })
  t.deepEqual(valve.watermarkReceived(1, 7), {})
  t.deepEqual(valve.watermarkReceived(1, 12), { watermark: 12 })
})

test('when all are idle the one that was ahead counts', (t) => {
  const valve = new WatermarkValve(2)
  valve.watermarkReceived(0, 3)
  valve.watermarkReceived(1, 30)
  valve.statusReceived(1, true)
  t.deepEqual(valve.statusReceived(0, true), { watermark: 30, idle: true })
})

test('an ended channel holds nothing back', (t) => {
  const valve = new WatermarkValve(2)
  valve.watermarkReceived(0, 8)
  t.deepEqual(valve.channelEnded(1), { watermark: 8 })
  t.deepEqual(valve.watermarkReceived(0, Infinity), { watermark: Infinity })
})
