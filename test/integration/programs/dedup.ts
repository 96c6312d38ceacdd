/** A generic building block: the first record of each key within the time to live. */
import { type DataStream, type Duration, type Key, valueState } from 'flott'

export function dedup<T, K extends Key>(stream: DataStream<T>, key: (record: T) => K, ttl: Duration, uid = 'dedup'): DataStream<T> {
  const seen = valueState('seen', { initial: false, ttl: { after: ttl, timeDomain: 'event-time' } })
  return stream.keyBy(key).process<T>(
    (record, ctx, out) => {
      const state = ctx.getState(seen)
      if (state.value) return
      state.value = true
      out.collect(record)
    },
    { uid, state: [seen] },
  )
}
