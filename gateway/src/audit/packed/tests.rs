//! What is packed comes back byte by byte, from any offset; what was damaged does not.

use super::*;
use proptest::prelude::*;
use std::io::Cursor;

/// Lines of such lengths.
fn lines(lengths: &[usize]) -> Vec<u8> {
    let line = |(number, length): (usize, &usize)| {
        let mut line = format!("{number}").repeat(length.div_ceil(3).max(1)).into_bytes();
        line.truncate(*length);
        line.push(b'\n');
        line
    };
    lengths.iter().enumerate().flat_map(line).collect()
}

fn packed(plain: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    let mut bytes = Vec::new();
    assert_eq!(pack(plain, &mut bytes).unwrap(), plain.len() as u64);
    file.write_all(&bytes).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file
}

fn from(file: &File, offset: u64) -> Vec<u8> {
    let mut found = Vec::new();
    Unpacked::at(file.try_clone().unwrap(), offset).unwrap().read_to_end(&mut found).unwrap();
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn what_is_packed_comes_back_from_any_offset(
        lengths in prop::collection::vec(0..60_000_usize, 0..80),
        offset in any::<prop::sample::Index>(),
    ) {
        let plain = lines(&lengths);
        let mut file = packed(&plain);
        let offset = offset.index(plain.len() + 1);
        prop_assert!(from(&file, offset as u64) == plain[offset..]);
        let table = Table::read(&mut file).unwrap();
        prop_assert_eq!(table.plain_bytes, plain.len() as u64);
        for (_, begin) in &table.frames {
            prop_assert!(*begin == 0 || plain[*begin as usize - 1] == b'\n');
        }
        file.seek(SeekFrom::Start(0)).unwrap();
        let mut whole = Vec::new();
        Unpacked::new(file).unwrap().read_to_end(&mut whole).unwrap();
        prop_assert!(whole == plain);
    }

    #[test]
    fn any_table_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64), frames in any::<u32>()) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        file.write_all(&frames.to_le_bytes()).unwrap();
        file.write_all(&[0]).unwrap();
        file.write_all(&SEEKABLE.to_le_bytes()).unwrap();
        prop_assert!(Table::read(&mut file).is_err());
    }
}

#[test]
fn what_was_damaged_is_an_error() {
    let plain = lines(&[5000; 600]);
    let mut bytes = Vec::new();
    pack(&plain[..], &mut bytes).unwrap();
    let read = |bytes: &[u8]| {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        let mut found = Vec::new();
        Unpacked::new(file).and_then(|mut unpacked| unpacked.read_to_end(&mut found)).map(|_| found)
    };
    assert_eq!(read(&bytes).unwrap(), plain);
    for at in [0, 9, 100, bytes.len() / 2] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(read(&damaged).is_err(), "byte {at}");
        assert!(read(&bytes[..at + 1]).is_err(), "cut after byte {at}");
    }
    let longer = [&bytes[..], b"more"].concat();
    assert!(read(&longer).is_err());
}

#[test]
fn a_frame_that_wants_much_memory_is_refused() {
    let mut wide = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    wide.window_log(WINDOW_LOG_MAX + 2).unwrap();
    io::copy(&mut Cursor::new(vec![b'x'; 1 << 20]).take(1 << 20), &mut wide).unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&wide.finish().unwrap()).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    assert!(Unpacked::new(file).unwrap().read_to_end(&mut Vec::new()).is_err());
}
