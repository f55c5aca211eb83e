//! One call on its way to the judge: what is to be compared, and where its input comes from.

use super::{
    Judge,
    copied::Copied,
    input::{Input, Reader},
    judge::{Job, NotJudged},
};
use crate::{
    call::{Envelope, RequestHead},
    generation::{Generation, Served},
};
use bytes::Bytes;
use http::{Version, header::EXPECT};
use http_body::Body as _;
use http_body_util::BodyExt;
use mesh::payload::{Body, Payload};
use policy::{
    engine::looks::Looks,
    permit::{Denial, Terms},
    question::{Principal, Question},
    shadow::{Decided, Shadow},
};
use std::sync::Arc;

/// A call whose decision is compared.
#[derive(Debug)]
pub struct Beside {
    shadows: Arc<[Shadow]>,
    /// How the input is read that only the shadow looks at.
    reader: Option<Reader>,
    /// Whether reading a body that nobody else wants shows the caller nothing.
    reads_on: ReadsOn,
}

/// Which bodies of denied calls are read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReadsOn {
    /// Any.
    All,
    /// Short ones: a connection of HTTP/1 is closed under a longer one, and its answer says so.
    Short,
    /// None: the caller waits to be told that the body is wanted, and it is not for the shadow to say so.
    None,
}

/// Longest body of a denied call that is read on over HTTP/1, in bytes: most often it is there already.
const SHORT_BYTES_MAX: u64 = 4096;

impl Beside {
    /// What is asked beside a call, if anything is. `read` says whether its input was read already.
    #[must_use]
    pub fn of(
        generation: &Generation,
        served: &Arc<Served>,
        principal: &Principal,
        head: &RequestHead,
        read: bool,
    ) -> Option<Self> {
        if generation.shadows.is_empty() {
            return None;
        }
        let wanted = !read && generation.shadows.need_input(&served.function.name, principal);
        let reader = wanted.then(|| Reader::new(served, &head.headers));
        let reads_on = match head.version {
            _ if head.headers.contains_key(EXPECT) => ReadsOn::None,
            Version::HTTP_2 => ReadsOn::All,
            _ => ReadsOn::Short,
        };
        Some(Self { shadows: generation.shadows.all.clone(), reader, reads_on })
    }

    /// Has a permitted call compared; its payload goes on as it is.
    pub(crate) fn permitted(self, envelope: &Envelope, terms: &Terms, payload: Payload, judge: &Arc<Judge>) -> Payload {
        let decided = Decided::granted(terms);
        let Some((job, reader)) = self.job(envelope, (terms.question(), terms.input_looks()), decided) else {
            return payload;
        };
        let Some(reader) = reader else {
            judge.submit(job, Input::AsAsked);
            return payload;
        };
        match payload {
            Payload::Stream(body) => Payload::Stream(Copied::new(body, reader, job, judge.clone()).boxed_unsync()),
            other => {
                given(&other, reader, job, judge);
                other
            }
        }
    }

    /// Has a denied call compared. What of its body is still to come is read on by a task of its own, within bounds.
    pub(crate) fn denied(self, envelope: &Envelope, denial: &Denial, payload: Payload, judge: &Arc<Judge>) {
        let (reads_on, decided) = (self.reads_on, Decided::denied(denial));
        let Some((job, reader)) = self.job(envelope, (&denial.question, &denial.input_looks), decided) else { return };
        match (reader, payload) {
            (None, _) => judge.submit(job, Input::AsAsked),
            (Some(reader), Payload::Stream(body)) if reads_on.takes(&body) => {
                judge.read_on(Copied::new(body, reader, job, judge.clone()));
            }
            (Some(reader), other) => given(&other, reader, job, judge),
        }
    }

    fn job(
        self,
        envelope: &Envelope,
        (question, looks): (&Arc<Question>, &Looks),
        decided: Decided,
    ) -> Option<(Job, Option<Reader>)> {
        let job = Job {
            call: envelope.id,
            trace: envelope.trace.ids(),
            shadows: self.shadows,
            question: question.clone(),
            looks: looks.clone(),
            decided,
        };
        job.decided.is_compared().then_some((job, self.reader))
    }
}

impl ReadsOn {
    fn takes(self, body: &Body) -> bool {
        match self {
            Self::All => true,
            Self::Short => body.size_hint().exact().is_some_and(|length| length <= SHORT_BYTES_MAX),
            Self::None => false,
        }
    }
}

/// A payload that is there already, or never will be.
fn given(payload: &Payload, reader: Reader, job: Job, judge: &Judge) {
    let input = match payload {
        Payload::Empty => Input::Body(reader, Bytes::new()),
        Payload::Buffered(bytes) => judge.copy(bytes).map_or(Input::Lost(NotJudged::Busy), |b| Input::Body(reader, b)),
        Payload::Stream(_) | Payload::Duplex(_) => Input::Lost(NotJudged::Input),
    };
    judge.submit(job, input);
}
