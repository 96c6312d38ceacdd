import test from 'ava'
import { applicationArguments, applicationJobId } from '#jobmanager/application/application-arguments.js'

const file = process.execPath

test('what is the daemon’s, what the application’s, what the program’s', (t) => {
  const argv = ['--configDir', 'conf', '-D', 'a=b', '--job', file, '--job-id', 'c'.repeat(32), '--', '--job', 'x', '--', '-D']
  t.deepEqual(applicationArguments(argv), {
    own: ['--configDir', 'conf', '-D', 'a=b'],
    program: { file, jobId: 'c'.repeat(32), args: ['--job', 'x', '--', '-D'] },
  })
  t.deepEqual(applicationArguments(['--job', file]), { own: [], program: { file, args: [] } })
})

test('mistakes are named', (t) => {
  const refused = (argv: string[], message: RegExp) =>
    t.throws(() => applicationArguments(argv), { code: 'INVALID_ARGUMENT', message }, argv.join(' '))
  refused([], /--job FILE is missing/)
  refused(['--', '--job', file], /--job FILE is missing/)
  refused(['--job', '/no/such/file'], /there is no file \/no\/such\/file/)
  refused(['--job', '/'], /there is no file/)
  refused(['--job', file, '--job-id'], /--job-id expects a value/)
  refused(['--job', file, '--job-id', 'X'], /32 lower-case hex digits, not 'X'/)
})

test('all JobManagers of a cluster know the job by the same id, those of another by another', (t) => {
  t.is(applicationJobId(undefined), '0'.repeat(32))
  t.is(applicationJobId('one'), applicationJobId('one'))
  t.not(applicationJobId('one'), applicationJobId('two'))
})
