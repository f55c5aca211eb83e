//! Records on their way to the brokers that lead their partitions, and again where another broker turns out to.

use super::{
    answer::{Place, Said, Trouble},
    link::Links,
    topic::Topic,
};
use rskafka::protocol::{
    messages::{ProduceRequest, ProduceRequestPartitionData, ProduceRequestTopicData},
    primitives::{Int16, Int32, NullableString, Records, String_},
    record::{
        ControlBatchOrRecords, Record as Written, RecordBatch, RecordBatchCompression, RecordBatchTimestampType,
        RecordHeader,
    },
};
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};
use tokio::{
    sync::Mutex,
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};

/// How long it is gone by who led what, unless a broker says that it does not.
const AGE_MAX: Duration = Duration::from_secs(5 * 60);

/// How long after each round records without a leader wait for the next. There is no round after the last.
const PAUSES: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(200), Duration::from_millis(400)];

/// What every record has besides its texts, in bytes and at most: lengths, and its place in the batch.
const RECORD_OVERHEAD_BYTES: usize = 32;

/// Every replica in sync has it before the leader says so.
const ALL_IN_SYNC: Int16 = Int16(-1);

/// Neither a transaction nor an idempotent producer.
const NOBODY: i64 = -1;

/// A record with its key and headers.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Vec<u8>,
    pub(super) headers: Vec<(String, Vec<u8>)>,
}

impl Record {
    /// What counts against the topic's limit.
    pub(super) fn bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len() + 10).sum();
        self.key.as_ref().map_or(0, Vec::len) + self.value.len() + headers + RECORD_OVERHEAD_BYTES
    }
}

/// A topic and the brokers that have it.
#[derive(Debug)]
pub(super) struct Cluster {
    name: String,
    bytes_max: usize,
    brokers: Vec<String>,
    links: Arc<Links>,
    known: Mutex<Option<Arc<Topic>>>,
    turn: AtomicUsize,
}

/// Records of one call for one partition, by their places in the call.
pub(super) type Part = (i32, Vec<usize>);

impl Cluster {
    /// Asks nobody yet.
    pub(super) fn new(name: &str, bytes_max: usize, brokers: Vec<String>, links: Links) -> Self {
        let (known, turn) = (Mutex::default(), AtomicUsize::new(fastrand::usize(..1024)));
        Self { name: name.to_owned(), bytes_max, brokers, links: Arc::new(links), known, turn }
    }

    /// Has the records kept, and says what became of each. Those that no leader took are sent again while there is time:
    /// nothing is kept twice.
    pub(super) async fn put(&self, records: &[Record], at: i64, deadline: Instant) -> Vec<Said> {
        let unsent = || Err(Trouble::Unreachable("nothing was sent".to_owned()));
        let mut said: Vec<Said> = records.iter().map(|_| unsent()).collect();
        let mut left: Vec<usize> = (0..records.len()).collect();
        let mut pauses = PAUSES.into_iter();
        loop {
            for (place, one) in self.round(records, &left, at, deadline).await {
                if let Some(said) = said.get_mut(place) {
                    *said = one;
                }
            }
            left.retain(|place| matches!(said.get(*place), Some(Err(Trouble::Moved(_)))));
            let pause = pauses.next().filter(|pause| Instant::now() + *pause < deadline);
            let (Some(pause), false) = (pause, left.is_empty()) else { return said };
            tracing::debug!(records = left.len(), "records that no leader took are sent again");
            sleep(pause).await;
        }
    }

    async fn round(&self, records: &[Record], left: &[usize], at: i64, deadline: Instant) -> Vec<(usize, Said)> {
        let all = |trouble: &Trouble| left.iter().map(|place| (*place, Err(trouble.clone()))).collect();
        let topic = match self.topic(deadline).await {
            Ok(topic) => topic,
            Err(trouble) => return all(&trouble),
        };
        let mut parts: BTreeMap<&(i32, Option<String>), Vec<usize>> = BTreeMap::new();
        for place in left {
            let key = records.get(*place).and_then(|record| record.key.as_deref());
            if let Some(part) = topic.place(key, &self.turn) {
                parts.entry(part).or_default().push(*place);
            }
        }
        let bytes = |places: &Vec<usize>| -> usize {
            places.iter().filter_map(|place| records.get(*place)).map(Record::bytes).sum()
        };
        if parts.values().any(|places| bytes(places) > self.bytes_max) {
            return all(&Trouble::TooLarge(Some(self.bytes_max)));
        }
        let mut said = Vec::new();
        let mut leaders: BTreeMap<&str, Vec<Part>> = BTreeMap::new();
        for ((partition, leader), places) in parts {
            match leader {
                Some(leader) => leaders.entry(leader).or_default().push((*partition, places)),
                None => {
                    let moved = Trouble::Moved(format!("partition {partition} has none"));
                    said.extend(places.into_iter().map(|place| (place, Err(moved.clone()))));
                }
            }
        }
        said.extend(self.send(leaders, records, at, deadline).await);
        if said.iter().any(|(_, said)| matches!(said, Err(Trouble::Moved(_)))) {
            self.known.lock().await.take_if(|known| Arc::ptr_eq(known, &topic));
        }
        said
    }

    /// One request to each leader, all at a time.
    async fn send(
        &self,
        leaders: BTreeMap<&str, Vec<Part>>,
        records: &[Record],
        at: i64,
        deadline: Instant,
    ) -> Vec<(usize, Said)> {
        let mut asked = JoinSet::new();
        for (leader, parts) in leaders {
            let request = self.request(&parts, records, at, deadline);
            let (links, leader) = (Arc::clone(&self.links), leader.to_owned());
            asked.spawn(async move {
                let answer = links.produce(&leader, request, deadline).await;
                parts.into_iter().flat_map(move |part| outcomes(part, &answer)).collect::<Vec<_>>()
            });
        }
        let mut said = Vec::new();
        while let Some(ended) = asked.join_next().await {
            match ended {
                Ok(some) => said.extend(some),
                Err(error) => tracing::error!(%error, "a request to a broker has failed"),
            }
        }
        said
    }

    /// What the leader of these partitions is asked.
    pub(super) fn request(&self, parts: &[Part], records: &[Record], at: i64, deadline: Instant) -> ProduceRequest {
        let left = deadline.saturating_duration_since(Instant::now()).as_millis();
        let partition_data = parts
            .iter()
            .map(|(partition, places)| ProduceRequestPartitionData {
                index: Int32(*partition),
                records: Records(vec![batch(places.iter().filter_map(|place| records.get(*place)), at)]),
            })
            .collect();
        ProduceRequest {
            transactional_id: NullableString(None),
            acks: ALL_IN_SYNC,
            timeout_ms: Int32(i32::try_from(left.max(1)).unwrap_or(i32::MAX)),
            topic_data: vec![ProduceRequestTopicData { name: String_(self.name.clone()), partition_data }],
        }
    }

    /// What is known of the topic; asked for if need be, until `deadline`.
    async fn topic(&self, deadline: Instant) -> Result<Arc<Topic>, Trouble> {
        let known = timeout_at(deadline, async {
            let mut known = self.known.lock().await;
            if let Some(topic) = known.as_ref().filter(|topic| topic.since.elapsed() < AGE_MAX) {
                return Ok(Arc::clone(topic));
            }
            let topic = Arc::new(self.ask(known.as_deref(), deadline).await?);
            let named = self.brokers.iter().chain(&topic.brokers).map(String::as_str);
            self.links.keep(&named.collect::<Vec<_>>());
            *known = Some(Arc::clone(&topic));
            Ok(topic)
        });
        known.await.unwrap_or_else(|_| Err(Trouble::Unreachable("no broker answered in time".to_owned())))
    }

    /// Asks brokers, one after another, until one answers.
    async fn ask(&self, known: Option<&Topic>, deadline: Instant) -> Result<Topic, Trouble> {
        let mut brokers: Vec<&String> =
            self.brokers.iter().chain(known.iter().flat_map(|known| &known.brokers)).collect();
        fastrand::shuffle(&mut brokers);
        let mut trouble = Trouble::Unreachable("no broker is named".to_owned());
        for broker in brokers {
            match self.links.describe(broker, &self.name, deadline).await {
                Ok(response) => return Topic::of(response, &self.name),
                Err(another) => trouble = another,
            }
        }
        Err(trouble)
    }
}

/// What became of the records of one partition.
fn outcomes(
    (partition, places): Part,
    answer: &Result<BTreeMap<i32, Result<i64, Trouble>>, Trouble>,
) -> Vec<(usize, Said)> {
    let said = match answer {
        Ok(parts) => parts
            .get(&partition)
            .cloned()
            .unwrap_or_else(|| Err(Trouble::Malformed(format!("it says nothing of partition {partition}")))),
        Err(trouble) => Err(trouble.clone()),
    };
    let placed = |(nth, place): (usize, usize)| {
        let offset = |first: i64| first.saturating_add(i64::try_from(nth).unwrap_or(i64::MAX));
        (place, said.clone().map(|first| Place { partition, offset: offset(first) }))
    };
    places.into_iter().enumerate().map(placed).collect()
}

/// Records as they travel: not compressed, in order, all of one time.
fn batch<'r>(records: impl Iterator<Item = &'r Record>, at: i64) -> RecordBatch {
    let records: Vec<Written> = (0..)
        .zip(records)
        .map(|(offset_delta, record)| Written {
            timestamp_delta: 0,
            offset_delta,
            key: record.key.clone(),
            value: Some(record.value.clone()),
            headers: record
                .headers
                .iter()
                .map(|(key, value)| RecordHeader { key: key.clone(), value: value.clone() })
                .collect(),
        })
        .collect();
    RecordBatch {
        base_offset: 0,
        partition_leader_epoch: 0,
        last_offset_delta: records.last().map_or(0, |last| last.offset_delta),
        first_timestamp: at,
        max_timestamp: at,
        producer_id: NOBODY,
        producer_epoch: -1,
        base_sequence: -1,
        records: ControlBatchOrRecords::Records(records),
        compression: RecordBatchCompression::NoCompression,
        is_transactional: false,
        timestamp_type: RecordBatchTimestampType::CreateTime,
    }
}
