//! Packed segments: a closed segment's bytes in independent zstd frames with a table of them at the end (zstd's seekable
//! format), so that reading from the middle decompresses one frame more than it needs, and `zstd -d` reads it all.

use super::record::RECORD_BYTES_MAX;
use std::{
    fmt,
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
};
use zstd::{bulk::Compressor, stream::read::Decoder, zstd_safe::CParameter};

#[cfg(test)]
mod tests;

/// What the names of packed segments end in.
pub(crate) const EXTENSION: &str = "zst";
/// A frame ends with the first record after so many bytes.
const FRAME_BYTES: usize = 1024 * 1024;
const LEVEL: i32 = 3;
/// Largest window that is allocated to read a frame (8 MiB), whatever it asks for.
const WINDOW_LOG_MAX: u32 = 23;
/// Most frames of a segment.
const FRAMES_MAX: usize = 1 << 16;
/// Begins a frame that decompressors skip; the table is one.
const SKIPPED: u32 = 0x184D_2A5E;
/// Ends the table.
const SEEKABLE: u32 = 0x8F92_EAB1;
/// Of the table's descriptor: each frame has a checksum in it.
const HAS_CHECKSUMS: u8 = 1 << 7;
const HEADER_BYTES: u64 = 8;
const FOOTER_BYTES: u64 = 9;
const ENTRY_BYTES: u64 = 8;
const CHECKSUM_BYTES: u64 = 4;

/// Packs what can be read. Returns how many bytes that was.
pub(crate) fn pack(mut plain: impl BufRead, packed: &mut impl Write) -> io::Result<u64> {
    let mut compressor = Compressor::new(LEVEL)?;
    compressor.set_parameter(CParameter::ChecksumFlag(true))?;
    let (mut table, mut frame, mut bytes) = (Vec::new(), Vec::with_capacity(FRAME_BYTES + RECORD_BYTES_MAX), 0);
    loop {
        frame.clear();
        Read::by_ref(&mut plain).take(FRAME_BYTES as u64).read_to_end(&mut frame)?;
        if frame.is_empty() {
            break;
        }
        // The record that the frame would cut goes into it whole.
        if frame.last() != Some(&b'\n') {
            Read::by_ref(&mut plain).take(RECORD_BYTES_MAX as u64).read_until(b'\n', &mut frame)?;
        }
        let compressed = compressor.compress(&frame)?;
        packed.write_all(&compressed)?;
        table.push((small(compressed.len())?, small(frame.len())?));
        bytes += frame.len() as u64;
    }
    packed.write_all(&SKIPPED.to_le_bytes())?;
    packed.write_all(&small(table.len() * ENTRY_BYTES as usize + FOOTER_BYTES as usize)?.to_le_bytes())?;
    for (compressed, plain) in &table {
        packed.write_all(&compressed.to_le_bytes())?;
        packed.write_all(&plain.to_le_bytes())?;
    }
    packed.write_all(&small(table.len())?.to_le_bytes())?;
    packed.write_all(&[0])?;
    packed.write_all(&SEEKABLE.to_le_bytes())?;
    Ok(bytes)
}

fn small(number: usize) -> io::Result<u32> {
    u32::try_from(number).map_err(|_| io::ErrorKind::FileTooLarge.into())
}

/// Where each frame of a packed segment begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    /// Beginnings: in the file, and of what it has in it.
    frames: Vec<(u64, u64)>,
    /// Bytes of what is packed.
    pub(crate) plain_bytes: u64,
}

impl Table {
    /// Reads the table of a file.
    pub(crate) fn read(file: &mut File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let malformed = || io::Error::new(io::ErrorKind::InvalidData, "the table of its frames is malformed");
        let footer_at = length.checked_sub(FOOTER_BYTES).ok_or_else(malformed)?;
        file.seek(SeekFrom::Start(footer_at))?;
        let (frames, descriptor, magic) = (number(file)?, byte(file)?, number(file)?);
        let has_checksums = descriptor & HAS_CHECKSUMS != 0;
        let entry = ENTRY_BYTES + if has_checksums { CHECKSUM_BYTES } else { 0 };
        let table = u64::from(frames) * entry + FOOTER_BYTES;
        let table_at = length.checked_sub(HEADER_BYTES + table).ok_or_else(malformed)?;
        if magic != SEEKABLE || frames as usize > FRAMES_MAX {
            return Err(malformed());
        }
        file.seek(SeekFrom::Start(table_at))?;
        let mut file = BufReader::new(file);
        if number(&mut file)? != SKIPPED || u64::from(number(&mut file)?) != table {
            return Err(malformed());
        }
        let (mut begin, mut plain, mut found) = (0, 0, Vec::with_capacity(frames as usize));
        for _ in 0..frames {
            found.push((begin, plain));
            begin += u64::from(number(&mut file)?);
            plain += u64::from(number(&mut file)?);
            if has_checksums {
                number(&mut file)?;
            }
        }
        if begin == table_at { Ok(Self { frames: found, plain_bytes: plain }) } else { Err(malformed()) }
    }

    /// The frame that has the byte at this offset, or else the last: where it begins in the file, and with which byte.
    fn frame(&self, offset: u64) -> (u64, u64) {
        let after = self.frames.partition_point(|(_, plain)| *plain <= offset);
        after.checked_sub(1).and_then(|frame| self.frames.get(frame)).copied().unwrap_or_default()
    }

    /// Where the last frame begins, in what is packed.
    pub(crate) fn last(&self) -> u64 {
        self.frames.last().map_or(0, |(_, plain)| *plain)
    }
}

fn number(from: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    from.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn byte(from: &mut impl Read) -> io::Result<u8> {
    let mut bytes = [0];
    from.read_exact(&mut bytes)?;
    Ok(u8::from_le_bytes(bytes))
}

/// What is packed in a file, in constant memory.
pub(crate) struct Unpacked(BufReader<Decoder<'static, BufReader<File>>>);

impl Unpacked {
    pub(crate) fn new(file: File) -> io::Result<Self> {
        let mut decoder = Decoder::with_buffer(BufReader::new(file))?;
        decoder.window_log_max(WINDOW_LOG_MAX)?;
        Ok(Self(BufReader::with_capacity(RECORD_BYTES_MAX, decoder)))
    }

    /// Goes on at this offset of what is packed.
    pub(crate) fn at(mut file: File, offset: u64) -> io::Result<Self> {
        let (begin, plain) = Table::read(&mut file)?.frame(offset);
        file.seek(SeekFrom::Start(begin))?;
        let mut unpacked = Self::new(file)?;
        io::copy(&mut Read::by_ref(&mut unpacked.0).take(offset - plain), &mut io::sink())?;
        Ok(unpacked)
    }
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl BufRead for Unpacked {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.0.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.0.consume(bytes);
    }
}

impl fmt::Debug for Unpacked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Unpacked").finish_non_exhaustive()
    }
}
