/**
 * A fresh project in a temporary directory in which flott is installed from its packed tarball, as users get it. Its dependencies are
 * links to those of this checkout: no network, no native build.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'

export interface InstalledPackage {
  /** Of the project. */
  readonly directory: string
  /** Paths in the tarball, without 'package/'. */
  readonly files: readonly string[]
  remove(): void
}

/** `sources`: the project's own files. */
export function installPackage(sources: Readonly<Record<string, string>>): InstalledPackage {
  const directory = mkdtempSync(join(tmpdir(), 'flott-project-'))
  const cache = join(directory, '.npm')
  const name = execFileSync(
    'npm',
    ['pack', '--ignore-scripts', '--silent', '--offline', '--cache', cache, '--pack-destination', directory],
    {
      encoding: 'utf8',
    },
  ).trim()
  const tarball = join(directory, name)
  const files = execFileSync('tar', ['tzf', tarball], { encoding: 'utf8' })
  const modules = join(directory, 'node_modules')
  mkdirSync(join(modules, 'flott'), { recursive: true })
  execFileSync('tar', ['xzf', tarball, '--strip-components=1', '-C', join(modules, 'flott')])
  rmSync(cache, { recursive: true, force: true })
  for (const dependency of readdirSync('node_modules'))
    if (!dependency.startsWith('.')) symlinkSync(resolve('node_modules', dependency), join(modules, dependency))
  mkdirSync(join(modules, '.bin'))
  symlinkSync('../flott/bin/flott', join(modules, '.bin', 'flott')) // As npm does for what package.json calls bin.
  for (const [path, source] of Object.entries(sources)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true })
    writeFileSync(join(directory, path), source)
  }
  return {
    directory,
    files: files
      .split('\n')
      .filter((path) => path !== '')
      .map((path) => path.replace(/^package\//, '')),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  }
}
