import { isDeepStrictEqual } from 'node:util'
import type { ExecutionContext } from 'ava'

/** Deep equality (-0 is not 0, prototypes count) of many or large values; names the first element that differs. Far faster than t.deepEqual. */
export function same(t: ExecutionContext, actual: readonly unknown[], expected: readonly unknown[], message = ''): void {
  if (isDeepStrictEqual(actual, expected)) {
    t.pass()
    return
  }
  const first = expected.findIndex((value, i) => !isDeepStrictEqual(value, actual[i]))
  if (first < 0) t.is(actual.length, expected.length, message)
  else t.deepEqual(actual[first], expected[first], `${message} element ${first} of ${expected.length}`)
  t.fail(message)
}
