//! The backend: a call becomes a record or several, and the answer says where they are kept.

use super::{
    KafkaConfig, Names, answer,
    cluster::{Cluster, Record},
    link::Links,
};
use crate::{
    backend::{
        ConfigError, duration,
        http::{
            connect::Connector,
            trust::{Trust, Written},
        },
        record::{
            self,
            naming::{self, Naming, Said},
        },
    },
    dial::Dial,
    event,
    invocation::{Head, InvokeError, Invoking, Outbound},
};
use bytes::Bytes;
use http::HeaderMap;
use std::{path::Path, sync::Arc};

/// Most records of one call.
const RECORDS_MAX: usize = 500;

/// The backend. Its connections are shared by clones.
#[derive(Clone, Debug)]
pub struct Kafka(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: KafkaConfig,
    trust: Trust,
    names: Names,
    cluster: Cluster,
}

impl KafkaConfig {
    /// What is in the files, so that a change of them is a change.
    fn trust(&self, base: &Path) -> Result<Trust, ConfigError> {
        let written = Written {
            ca: self.ca.as_deref(),
            client_certificate: self.client_certificate.as_deref(),
            client_key: self.client_key.as_deref(),
            ..Written::default()
        };
        Trust::read(written, self.is_tls(), base)
    }
}

impl Names {
    /// A record with its key and headers.
    fn record(&self, head: &Head, data: Bytes, beside: &HeaderMap) -> Result<Record, InvokeError> {
        let said = Said::new(head, &data, self.all())?;
        let key = self.key.as_ref().map(|naming| naming.of(&said, |_| true)).transpose()?;
        let mut headers: Vec<(String, Vec<u8>)> =
            beside.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect();
        for (name, naming) in &self.headers {
            headers.retain(|(before, _)| !before.eq_ignore_ascii_case(name));
            headers.push((name.clone(), naming.of(&said, naming::is_header)?.into_bytes()));
        }
        Ok(Record { key: key.map(String::into_bytes), value: data.to_vec(), headers })
    }
}

impl Kafka {
    /// Reads authorities, certificate and key; connects to nothing.
    pub(in crate::backend) fn new(config: &KafkaConfig, base: &Path) -> Result<Self, ConfigError> {
        let trust = config.trust(base)?;
        let timeout = duration("connect_timeout", &config.connect_timeout)?;
        let brokers = config.addresses().map(|at| at.map(|at| at.authority)).collect::<Result<_, _>>()?;
        let tls = config.is_tls();
        let connector = Connector::new(trust.client(tls)?, tls, Dial::new(None), false, timeout);
        let links = Links::new(connector, tls, timeout);
        let cluster = Cluster::new(&config.topic, config.batch_bytes_max, brokers, links);
        Ok(Self(Arc::new(Inner { config: config.clone(), trust, names: Names::of(config)?, cluster })))
    }

    /// Whether it would be made again of this configuration.
    pub(super) fn is_of(&self, config: &KafkaConfig, base: &Path) -> bool {
        self.0.config == *config && config.trust(base).is_ok_and(|trust| self.0.trust == trust)
    }

    /// The path parameters that its names use.
    pub(in crate::backend) fn parameters(&self) -> impl Iterator<Item = &str> {
        self.0.names.all().flat_map(Naming::parameters)
    }

    /// Sends the record, or all of them.
    pub(crate) fn invoke(&self, outbound: Outbound) -> Invoking<'_> {
        Box::pin(async move {
            let Inner { config, names, cluster, .. } = &*self.0;
            let Outbound { mut head, payload, context } = outbound;
            let body = event::whole(payload, &context).await?;
            let bodies = match config.batch {
                Some(batch) => batch.split(&mut head.headers, &body, RECORDS_MAX)?,
                None => vec![body],
            };
            let beside = record::beside(&head, &context);
            let records = bodies.into_iter().map(|data| names.record(&head, data, &beside));
            let records: Vec<Record> = records.collect::<Result<_, _>>()?;
            let mut said = cluster.put(&records, context.accepted.as_millisecond(), context.deadline).await;
            match config.batch {
                Some(_) => answer::of_all(&said),
                None => answer::of_one(said.pop()),
            }
        })
    }
}
