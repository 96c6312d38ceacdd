/** Flott's API: all that a program imports. */
export { type Duration, millis } from '#core/duration.js'
export { FlottError } from '#core/errors.js'
export type { WatermarkGenerator, WatermarkStrategy } from '#core/eventtime/watermarks.js'
export type { TimeOptions, TimeWindow, Window, WindowAssigner } from '#core/eventtime/windows.js'
export { type Accumulator, accumulator } from '#core/functions/accumulator.js'
export { aggregates } from '#core/functions/aggregates.js'
export {
  type AggregateFunction,
  type Collector,
  type Context,
  type Key,
  type KeyedContext,
  KeyedProcessFunction,
  type KeyedTimerService,
  type KeyPart,
  type OnTimer,
  type Process,
  ProcessFunction,
  type ProcessLike,
  RichFunction,
  type Sync,
  type TimeDomain,
  type TimerService,
  type WindowContext,
  type WindowProcess,
} from '#core/functions/functions.js'
export { type OutputTag, outputTag } from '#core/functions/output-tag.js'
export type { RuntimeContext } from '#core/functions/runtime-context.js'
export type { FieldOf, Selector } from '#core/functions/selector.js'
export type { CommitRequest, Committer, CommittingWriter, Sink, SinkWriter, TwoPhaseSink } from '#core/functions/sink.js'
export type {
  Source,
  SourceReader,
  SourceReaderContext,
  SourceSplit,
  SplitEnumerator,
  SplitEnumeratorContext,
} from '#core/functions/source.js'
export { type Infer, types } from '#core/serialization/declared-types.js'
export type { AnyType, Type } from '#core/serialization/types.js'
export {
  type ListState,
  listState,
  type MapState,
  type MapStateDescriptor,
  mapState,
  type ReadonlyMapState,
  type StateDescriptor,
  type StateOptions,
  type ValueState,
  valueState,
} from '#core/state/state.js'
export type { Configuration } from './api/configuration.js'
export type { DataStream, KeyedStream, ProcessedStream, WindowedStream, WindowOptions } from './api/data-stream.js'
export { defineJob, type Job } from './api/define-job.js'
export type { KeyedOptions, OperatorOptions, Options, SourceOptions } from './api/options.js'
export { StreamExecutionEnvironment } from './api/stream-execution-environment.js'
export { windows } from './api/windows.js'
export { discardSink } from './connectors/discard-sink.js'
export { type Fetch, fetchingReader } from './connectors/fetching-reader.js'
export { fileSink } from './connectors/file-sink.js'
export { type FileSourceOptions, fileSource } from './connectors/file-source.js'
export { type Format, formats } from './connectors/formats.js'
export { generatorSource } from './connectors/sequence-source.js'
export { socketSource } from './connectors/socket-source.js'
export type { JobClient, JobExecutionResult, JobStatus } from './submit/job-client.js'
