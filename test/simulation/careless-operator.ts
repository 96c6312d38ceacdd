/** An override that forgets a rule: what it reads or writes of ZooKeeper is another than it should be. */
import type { ClusterPaths, ZooKeeper, ZooKeeperSession } from '#ha/zookeeper/zookeeper.js'
import type { ClusterFact } from '#protocol/ha/facts.js'
import type { BrokenRule } from './broken-rules.js'

export function carelessOperator(zookeeper: ZooKeeper, paths: ClusterPaths, broken: ReadonlySet<BrokenRule>): ZooKeeper {
  if (broken.has('keep-incarnation')) return changed(zookeeper, keepingIncarnation(paths))
  return broken.has('reset-while-members-live') ? changed(zookeeper, seeingNobody(paths)) : zookeeper
}

type Change = (session: ZooKeeperSession) => Partial<ZooKeeperSession>

function changed(zookeeper: ZooKeeper, change: Change): ZooKeeper {
  return {
    async open() {
      const session = await zookeeper.open()
      return Object.assign(session, change(session))
    },
  }
}

function keepingIncarnation(paths: ClusterPaths): Change {
  return (session) => {
    const set = session.set.bind(session)
    return {
      set(path, data, version) {
        if (path !== paths.cluster) return set(path, data, version)
        const fact = JSON.parse(Buffer.from(data).toString()) as ClusterFact
        return set(path, Buffer.from(JSON.stringify({ ...fact, incarnation: fact.incarnation - 1 })), version)
      },
    }
  }
}

/** Neither a leader nor candidates. */
function seeingNobody(paths: ClusterPaths): Change {
  return (session) => {
    const get = session.get.bind(session)
    const children = session.children.bind(session)
    return {
      get: async (path, onChange) => (path === paths.leader ? undefined : get(path, onChange)),
      children: async (path, onChange) => (path === paths.election ? [] : children(path, onChange)),
    }
  }
}
