/**
 * Makes of a program the one ESM file that slots evaluate: TypeScript and npm packages are in it, `flott` is not, so that one copy of
 * it exists where it runs. `import.meta.url` of each source module becomes an id that is the same on every machine.
 */

import { readFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { BuildFailure, Loader, Message, Plugin } from 'esbuild'
import { FlottError } from '#core/errors.js'

const MODULE_SCHEME = 'flott:///'

export interface Bundle {
  readonly code: Uint8Array
  /** Directory that module ids are relative to. */
  readonly root: string
}

/** BUNDLE_FAILED: a syntax error, an import that is not found, a native addon; with file and line. */
export async function bundle(file: string): Promise<Bundle> {
  const root = dirname(file)
  const { build } = await import('esbuild') // Loaded at the first submission only: it starts a process.
  try {
    const { outputFiles } = await build({
      entryPoints: [file],
      bundle: true,
      write: false,
      outfile: join(root, 'artifact.mjs'),
      format: 'esm',
      platform: 'node',
      target: 'node20',
      sourcemap: 'inline',
      sourceRoot: pathToFileURL(`${root}/`).href, // Where the sources are: traces name them wherever the artifact lies.
      sourcesContent: false,
      charset: 'utf8',
      logLevel: 'silent',
      external: ['flott', 'flott/*'],
      // CommonJS packages call require for Node's own modules.
      banner: { js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);" },
      plugins: [refuseNativeAddons, stableModuleUrls(root)],
    })
    return { code: outputFiles[0]!.contents, root }
  } catch (cause) {
    const errors = (cause as Partial<BuildFailure>).errors ?? []
    throw new FlottError('BUNDLE_FAILED', `${file}\n${errors.map(describe).join('\n') || String(cause)}`, { cause })
  }
}

/** Path of the file behind a module's `import.meta.url`, whether the module runs from its source or from a bundle of this root. */
export function moduleFile(module: string, root: string | undefined): string {
  if (module.startsWith('file:')) return fileURLToPath(module)
  if (module.startsWith(MODULE_SCHEME) && root !== undefined) return join(root, decodeURI(module.slice(MODULE_SCHEME.length)))
  throw new FlottError('BUNDLE_FAILED', `'${module}' is no module of this program: defineJob takes import.meta.url`)
}

const LOADERS: Readonly<Record<string, Loader>> = { ts: 'ts', mts: 'ts', cts: 'ts', tsx: 'tsx', jsx: 'jsx' }

function stableModuleUrls(root: string): Plugin {
  return {
    name: 'stable-module-urls',
    setup(build) {
      build.onLoad({ filter: /\.[cm]?[jt]sx?$/ }, async ({ path }) => {
        const source = await readFile(path, 'utf8')
        if (!source.includes('import.meta.url')) return undefined
        const id = JSON.stringify(MODULE_SCHEME + encodeURI(relative(root, path)))
        return { contents: source.replace(/\bimport\.meta\.url\b/g, id), loader: LOADERS[path.slice(path.lastIndexOf('.') + 1)] ?? 'js' }
      })
    },
  }
}

const refuseNativeAddons: Plugin = {
  name: 'refuse-native-addons',
  setup(build) {
    build.onResolve(
      { filter: /\.node$|^(bindings|node-gyp-build|node-gyp-build-optional-packages|@mapbox\/node-pre-gyp)$/ },
      ({ path, importer }) => {
        const name = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(importer)?.[1] ?? importer
        return { errors: [{ text: `'${name}' is a native addon (it loads ${path}): a slot can not run it` }] }
      },
    )
  },
}

function describe({ text, location }: Message): string {
  return location ? `${location.file}:${location.line}:${location.column + 1}: ${text}` : text
}
