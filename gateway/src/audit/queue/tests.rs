//! The room that is left to calls.

use super::*;

fn entry(bytes: usize) -> Entry {
    Entry {
        kind: Kind::Shadow,
        at: Timestamp::UNIX_EPOCH,
        tail: vec![b'x'; bytes],
        duty: Duty::Owed,
        promise: Promise::None,
        waiter: None,
        room: Room::default(),
        since: Instant::now(),
        sets_clock: false,
    }
}

#[test]
fn what_may_be_spared_leaves_half_of_the_room_to_calls() {
    let queue = Queue::new(Room { bytes: 8 * CALL_BYTES, calls: 4, extra: 6 });
    for _ in 0..3 {
        queue.push_spare(entry(10)).unwrap();
    }
    assert_eq!(queue.push_spare(entry(10)), Err(Unrecorded::NoRoom), "half of the records is for others");
    for _ in 0..3 {
        queue.push(entry(10)).unwrap();
    }
    let queue = Queue::new(Room { bytes: 8 * CALL_BYTES, calls: 4, extra: 6 });
    assert_eq!(queue.push_spare(entry(4 * CALL_BYTES + 1)), Err(Unrecorded::NoRoom), "half of the bytes, too");
    queue.push_spare(entry(4 * CALL_BYTES)).unwrap();
    assert_eq!((queue.open_call(), queue.push_spare(entry(1))), (Ok(()), Err(Unrecorded::NoRoom)));
    let mut taken = Vec::new();
    queue.take(&mut taken);
    queue.give_back(taken.remove(0).room);
    queue.push_spare(entry(1)).unwrap();
}
