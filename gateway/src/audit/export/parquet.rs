//! Records as Apache Parquet: one row per record, with what is asked for most in columns of its own and the record itself
//! in the last.

use super::Form;
use crate::audit::query::Line;
use parquet::{
    basic::Compression,
    data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type},
    errors::ParquetError,
    file::{
        properties::WriterProperties,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::parser::parse_message_type,
};
use serde::Deserialize;
use std::{
    borrow::Cow,
    io::{self, Write},
    sync::Arc,
};

const SCHEMA: &str = "message record {
    required int64 seq;
    required int64 at (TIMESTAMP(MICROS, true));
    required binary node (STRING);
    required binary incarnation (STRING);
    required binary kind (STRING);
    optional binary call (STRING);
    optional binary function (STRING);
    optional binary caller (STRING);
    optional binary outcome (STRING);
    optional binary refusal (STRING);
    optional int32 status;
    optional int64 duration_us;
    required binary record (STRING);
}";
/// A group of rows is written at this many, or at this many bytes of records.
const ROWS_MAX: usize = 50_000;
const BYTES_MAX: usize = 32 * 1024 * 1024;

/// See the file's first line.
#[derive(Debug)]
pub struct Parquet<W: Write> {
    writer: SerializedFileWriter<W>,
    rows: Vec<Line>,
    bytes: usize,
}

/// What of a record has a column of its own, besides its head.
#[derive(Deserialize)]
struct Columns<'a> {
    #[serde(default, borrow)]
    function: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    principal: Option<Who<'a>>,
    #[serde(default, borrow)]
    outcome: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    refusal: Option<Cow<'a, str>>,
    #[serde(default)]
    status: Option<i32>,
    #[serde(default)]
    duration_us: Option<i64>,
}

#[derive(Deserialize)]
struct Who<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

impl<W: Write + Send> Parquet<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn new(file: W) -> io::Result<Self> {
        let schema = parse_message_type(SCHEMA).map_err(failed)?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties)).map_err(failed)?;
        Ok(Self { writer, rows: Vec::new(), bytes: 0 })
    }

    fn group(&mut self) -> Result<(), ParquetError> {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        if rows.is_empty() {
            return Ok(());
        }
        let read = |line: &Line| serde_json::from_slice::<Columns<'_>>(&line.bytes).ok().map(owned);
        let columns: Vec<_> = rows.iter().map(|line| read(line).unwrap_or_default()).collect();
        let text = |text: &str| ByteArray::from(text.as_bytes().to_vec());
        let mut group = self.writer.next_row_group()?;
        let out = &mut group;
        required::<Int64Type, W>(out, rows.iter().map(|r| i64::try_from(r.head.seq).unwrap_or(i64::MAX)))?;
        required::<Int64Type, W>(out, rows.iter().map(|r| r.head.at.as_microsecond()))?;
        required::<ByteArrayType, W>(out, rows.iter().map(|r| text(&r.head.node)))?;
        required::<ByteArrayType, W>(out, rows.iter().map(|r| text(&r.head.incarnation.to_string())))?;
        required::<ByteArrayType, W>(out, rows.iter().map(|r| text(r.head.kind.as_str())))?;
        optional::<ByteArrayType, W>(out, rows.iter().map(|r| r.head.call.map(|call| text(&call.to_string()))))?;
        optional::<ByteArrayType, W>(out, columns.iter().map(|c| c.function.as_deref().map(text)))?;
        optional::<ByteArrayType, W>(out, columns.iter().map(|c| c.caller.as_deref().map(text)))?;
        optional::<ByteArrayType, W>(out, columns.iter().map(|c| c.outcome.as_deref().map(text)))?;
        optional::<ByteArrayType, W>(out, columns.iter().map(|c| c.refusal.as_deref().map(text)))?;
        optional::<Int32Type, W>(out, columns.iter().map(|c| c.status))?;
        optional::<Int64Type, W>(out, columns.iter().map(|c| c.duration_us))?;
        required::<ByteArrayType, W>(out, rows.iter().map(|r| ByteArray::from(r.bytes.clone())))?;
        group.close()?;
        Ok(())
    }
}

#[derive(Default)]
struct Owned {
    function: Option<String>,
    caller: Option<String>,
    outcome: Option<String>,
    refusal: Option<String>,
    status: Option<i32>,
    duration_us: Option<i64>,
}

fn owned(columns: Columns<'_>) -> Owned {
    let Columns { function, principal, outcome, refusal, status, duration_us } = columns;
    let text = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
    let caller = principal.map(|principal| principal.id.into_owned());
    Owned { function: text(function), caller, outcome: text(outcome), refusal: text(refusal), status, duration_us }
}

fn required<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: impl Iterator<Item = T::T>,
) -> Result<(), ParquetError> {
    column::<T, W>(group, &values.collect::<Vec<_>>(), None)
}

fn optional<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: impl Iterator<Item = Option<T::T>>,
) -> Result<(), ParquetError> {
    let values: Vec<_> = values.collect();
    let there: Vec<_> = values.iter().map(|value| i16::from(value.is_some())).collect();
    column::<T, W>(group, &values.into_iter().flatten().collect::<Vec<_>>(), Some(&there))
}

fn column<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[T::T],
    there: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let missing = || ParquetError::General("the schema has fewer columns".to_owned());
    let mut column = group.next_column()?.ok_or_else(missing)?;
    column.typed::<T>().write_batch(values, there, None)?;
    column.close()
}

fn failed(error: ParquetError) -> io::Error {
    io::Error::other(error)
}

impl<W: Write + Send> Form for Parquet<W> {
    fn write(&mut self, records: &[Line]) -> io::Result<bool> {
        self.bytes += records.iter().map(|record| record.bytes.len()).sum::<usize>();
        self.rows.extend(records.iter().cloned());
        if self.rows.len() >= ROWS_MAX || self.bytes >= BYTES_MAX {
            self.group().map_err(failed)?;
        }
        Ok(true)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.group().map_err(failed)?;
        self.writer.finish().map(|_| ()).map_err(failed)
    }
}
