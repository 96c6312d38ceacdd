import { StreamExecutionEnvironment } from 'flott'

StreamExecutionEnvironment.getExecutionEnvironment().fromSequence(1, 9, 'numbers').print()
