// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Operations on real files, by every engine.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use super::{Access, Finished, HostFile, Io, Operation, Prepare, Supply};
use crate::device::Engine;
use crate::memory::MemoryMap;
use crate::queue::{Inbox, Mailbox};
use crate::ring::Request;

use crate::ring::shared::{Descriptor, WRITE};
use crate::ring::tests::bench::{Bench, memory};
use crate::ring::tests::driver::{Driver, Layout, buffer, region};
use crate::sys;

const LAYOUT: Layout = Layout { start: 0, size: 1024 };
/// Where the driver's buffers begin: behind the ring.
const BUFFERS: u64 = 0x8000;
const LEN: u64 = 0x80_0000;
/// What O_DIRECT wants of memory and offsets in some places.
const DIRECT: Access = Access::Direct { memory: 512, offset: 512 };
const ENGINES: [Engine; 3] = [Engine::Uring, Engine::Threads, Engine::None];
const DEADLINE: Duration = Duration::from_secs(20);

/// What a queue's thread has, with where the pool's answers come.
struct Machine {
    io: Io,
    inbox: Inbox,
    _supply: Supply,
}

impl Machine {
    fn new(engine: Engine) -> Self {
        let (mailbox, inbox) = Mailbox::new().expect("a mailbox");
        let supply = Supply::new("test", engine, 32, &[], &(Arc::new(|| Ok(())) as Prepare))
            .expect("the engine");
        let io = supply.portion(&mailbox).make().expect("a portion");
        Self { io, inbox, _supply: supply }
    }

    fn start(
        &mut self,
        file: &Arc<HostFile>,
        operation: Operation,
        request: Request,
    ) -> Option<Finished> {
        self.io.start(file, operation, request, 7)
    }

    /// The next operation that has finished.
    fn finished(&mut self) -> Finished {
        use crate::queue::Command;
        loop {
            self.io.enter().expect("entered");
            if let Some(finished) = self.io.finished() {
                return finished;
            }
            if self.inbox.fall_asleep() {
                match self.inbox.next() {
                    Some(Command::Finished(finished)) => return finished,
                    other => panic!("{other:?}"),
                }
            }
            self.io.wait(&self.inbox, None, Some(DEADLINE)).expect("waited");
            self.inbox.clear();
        }
    }

    /// Does one thing, whether at once or later.
    fn perform(
        &mut self,
        file: &Arc<HostFile>,
        operation: Operation,
        request: Request,
    ) -> Finished {
        match self.start(file, operation, request) {
            Some(finished) => finished,
            None => self.finished(),
        }
    }
}

/// A driver's memory and its ring.
struct Guest {
    memory: Arc<MemoryMap>,
}

impl Guest {
    fn new() -> Self {
        Self { memory: memory(&[region(0, LEN)]) }
    }

    fn bench(&self) -> (Bench, Driver<'_>) {
        (Bench::new(&self.memory, LAYOUT), Driver::new(&self.memory, LAYOUT))
    }

    fn bytes(&self, start: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.memory.as_driver(start, len).copy_to(&mut bytes);
        bytes
    }
}

/// Has the driver make a chain available, and takes it.
fn request(bench: &mut Bench, driver: &mut Driver<'_>, head: u16, chain: &[Descriptor]) -> Request {
    driver.write_chain(head, chain);
    driver.offer(head);
    driver.show();
    bench.request()
}

/// A file on a disk, of `len` bytes, each another than its neighbours.
fn file(len: usize) -> File {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&pattern(0..len)).expect("written");
    file.seek(SeekFrom::Start(0)).expect("at its start");
    file
}

fn host_file(len: usize, access: Access) -> Arc<HostFile> {
    Arc::new(HostFile::new(file(len), access))
}

fn pattern(range: Range<usize>) -> Vec<u8> {
    range.map(|at| u8::try_from((at * 7 + at / 251) % 256).expect("below 256")).collect()
}

fn contents(file: &HostFile) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut file = file.file();
    file.seek(SeekFrom::Start(0)).expect("at its start");
    file.read_to_end(&mut bytes).expect("read");
    bytes
}

/// Pieces of odd lengths at odd addresses, `len` bytes together.
fn crooked(len: u32, flags: u16) -> [Descriptor; 3] {
    [
        buffer(BUFFERS + 1, 100, flags),
        buffer(BUFFERS + 0x1000, 512, flags),
        buffer(BUFFERS + 0x2003, len - 612, flags),
    ]
}

fn read_of(offset: u64, len: usize) -> Operation {
    Operation::Read { offset, into: 0..len }
}

fn write_of(offset: u64, from: Range<usize>) -> Operation {
    Operation::Write { offset, from }
}

/// The bytes of the request's device-writable part, and its result; ends it.
fn outcome(bench: &mut Bench, finished: Finished) -> (Vec<u8>, io::Result<usize>) {
    let Finished { request, tag, result } = finished;
    assert_eq!(tag, 7);
    let mut bytes = vec![0; request.writable().len()];
    request.writable().read(0, &mut bytes).expect("as many bytes");
    bench.complete(request, 0);
    (bytes, result)
}

/// Calls `test` with every engine and every kind of file.
fn everywhere(test: impl Fn(&mut Machine, Access)) {
    for engine in ENGINES {
        for access in [Access::Cached, DIRECT, Access::Memory] {
            test(&mut Machine::new(engine), access);
        }
    }
}

#[test]
fn read_fills_the_buffers_in_order() {
    everywhere(|machine, access| {
        let (guest, file) = (Guest::new(), host_file(8192, access));
        let (mut bench, mut driver) = guest.bench();
        let request = request(&mut bench, &mut driver, 0, &crooked(4096, WRITE));
        let finished = machine.perform(&file, read_of(512, 4096), request);
        let (bytes, result) = outcome(&mut bench, finished);
        assert_eq!(result.expect("read"), 4096, "{access:?}");
        assert!(bytes == pattern(512..512 + 4096), "{access:?}");
    });
}

#[test]
fn read_touches_no_byte_beside_its_range() {
    everywhere(|machine, access| {
        let (guest, file) = (Guest::new(), host_file(8192, access));
        let (mut bench, mut driver) = guest.bench();
        driver.write(BUFFERS, &[0xee; 0x4000]);
        let request = request(&mut bench, &mut driver, 0, &crooked(4096, WRITE));
        let operation = Operation::Read { offset: 1024, into: 512..1536 };
        let finished = machine.perform(&file, operation, request);
        let (bytes, result) = outcome(&mut bench, finished);
        assert_eq!(result.expect("read"), 1024);
        let expected = [vec![0xee; 512], pattern(1024..2048), vec![0xee; 4096 - 1536]].concat();
        assert!(bytes == expected, "{access:?}");
        assert_eq!(guest.bytes(BUFFERS, 1), [0xee]);
    });
}

#[test]
fn write_takes_the_buffers_in_order_and_nothing_else() {
    everywhere(|machine, access| {
        let (guest, file) = (Guest::new(), host_file(8192, access));
        let (mut bench, mut driver) = guest.bench();
        driver.write(BUFFERS, &pattern(1000..1000 + 0x4000));
        let chain = crooked(4096, 0);
        let request = request(&mut bench, &mut driver, 0, &chain);
        let mut data = vec![0; 4096];
        request.readable().read(0, &mut data).expect("4096 bytes");
        let finished = machine.perform(&file, write_of(1024, 16..16 + 2048), request);
        assert_eq!(outcome(&mut bench, finished).1.expect("written"), 2048);
        let expected = [pattern(0..1024), data[16..16 + 2048].to_vec(), pattern(1024 + 2048..8192)];
        assert!(contents(&file) == expected.concat(), "{access:?}");
    });
}

#[test]
fn read_beyond_the_end_is_short() {
    everywhere(|machine, access| {
        for (offset, expected) in [(8000 - 512, 512), (8000, 0), (16384, 0), (7680, 320)] {
            let (guest, file) = (Guest::new(), host_file(8000, access));
            let (mut bench, mut driver) = guest.bench();
            let request = request(&mut bench, &mut driver, 0, &[buffer(BUFFERS, 4096, WRITE)]);
            let finished = machine.perform(&file, read_of(offset, 4096), request);
            let (bytes, result) = outcome(&mut bench, finished);
            assert_eq!(result.expect("read"), expected, "{access:?} at {offset}");
            let from = usize::try_from(offset).expect("small");
            assert!(bytes[..expected] == pattern(from..from + expected), "{access:?}");
        }
    });
}

#[test]
fn direct_read_that_is_misaligned_in_the_file_is_widened() {
    for engine in ENGINES {
        let mut machine = Machine::new(engine);
        let access = Access::Direct { memory: 4096, offset: 4096 };
        let (guest, file) = (Guest::new(), host_file(65536, access));
        let (mut bench, mut driver) = guest.bench();
        for (offset, len) in [(512, 512), (4096 - 512, 1024), (1536, 20480)] {
            let chain = [buffer(BUFFERS, u32::try_from(len).expect("small"), WRITE)];
            let request = request(&mut bench, &mut driver, 0, &chain);
            let finished = machine.perform(&file, read_of(offset as u64, len), request);
            let (bytes, result) = outcome(&mut bench, finished);
            assert_eq!(result.expect("read"), len);
            assert!(bytes == pattern(offset..offset + len));
        }
    }
}

#[test]
fn direct_transfer_longer_than_a_buffer_goes_in_steps() {
    const LONG: u32 = 1024 * 1024;
    for engine in ENGINES {
        let mut machine = Machine::new(engine);
        let (guest, file) = (Guest::new(), host_file(2 * LONG as usize, DIRECT));
        let (mut bench, mut driver) = guest.bench();
        let chain = [buffer(BUFFERS + 3, LONG, WRITE)];
        let taken = request(&mut bench, &mut driver, 0, &chain);
        let finished = machine.perform(&file, read_of(512, LONG as usize), taken);
        let (bytes, result) = outcome(&mut bench, finished);
        assert_eq!(result.expect("read"), LONG as usize);
        assert!(bytes == pattern(512..512 + LONG as usize));

        let chain = [buffer(BUFFERS + 3, LONG, 0)];
        let taken = request(&mut bench, &mut driver, 0, &chain);
        let finished = machine.perform(&file, write_of(4096, 0..LONG as usize), taken);
        assert_eq!(outcome(&mut bench, finished).1.expect("written"), LONG as usize);
        assert!(contents(&file)[4096..4096 + LONG as usize] == bytes);
    }
}

/// 64 requests of 128 KiB, which want more buffers than there may be at once.
#[test]
fn direct_transfers_that_wait_for_buffers_all_end() {
    const EACH: usize = 128 * 1024;
    let mut machine = Machine::new(Engine::Uring);
    let (guest, file) = (Guest::new(), host_file(64 * 512 + EACH, DIRECT));
    let (mut bench, mut driver) = guest.bench();
    for head in 0..64 {
        // They overlap: what is read does not matter before the last one.
        let chain = [buffer(BUFFERS + 1, EACH.try_into().expect("small"), WRITE)];
        let request = request(&mut bench, &mut driver, head, &chain);
        let operation = Operation::Read { offset: u64::from(head) * 512, into: 0..EACH };
        assert!(machine.start(&file, operation, request).is_none());
    }
    for _ in 0..64 {
        let finished = machine.finished();
        assert_eq!(outcome(&mut bench, finished).1.expect("read"), EACH);
    }
    assert_eq!(bench.ledger.in_flight(), 0);
}

#[test]
fn more_operations_than_an_io_uring_has_room_for_all_end() {
    const COUNT: usize = 1024;
    for engine in ENGINES {
        let mut machine = Machine::new(engine);
        let (guest, file) = (Guest::new(), host_file(COUNT * 4096, DIRECT));
        let (mut bench, mut driver) = guest.bench();
        let mut ended = 0;
        for head in 0..1024 {
            let at = BUFFERS + 4096 * u64::from(head);
            let request = request(&mut bench, &mut driver, head, &[buffer(at, 4096, WRITE)]);
            let operation = read_of(u64::from(head) * 4096, 4096);
            if let Some(finished) = machine.start(&file, operation, request) {
                assert_eq!(outcome(&mut bench, finished).1.expect("read"), 4096);
                ended += 1;
            }
        }
        while ended < COUNT {
            let finished = machine.finished();
            assert_eq!(outcome(&mut bench, finished).1.expect("read"), 4096);
            ended += 1;
        }
        assert!(guest.bytes(BUFFERS, COUNT * 4096) == pattern(0..COUNT * 4096));
    }
}

#[test]
fn cached_read_is_done_at_once() {
    let mut machine = Machine::new(Engine::Uring);
    let (guest, file) = (Guest::new(), host_file(8192, Access::Cached));
    let (mut bench, mut driver) = guest.bench();
    let request = request(&mut bench, &mut driver, 0, &[buffer(BUFFERS, 4096, WRITE)]);
    let finished = machine.start(&file, read_of(0, 4096), request).expect("at once");
    assert_eq!(outcome(&mut bench, finished).1.expect("read"), 4096);
}

#[test]
fn cached_write_is_done_at_once() {
    let mut machine = Machine::new(Engine::Uring);
    let (guest, file) = (Guest::new(), host_file(8192, Access::Cached));
    let (mut bench, mut driver) = guest.bench();
    let request = request(&mut bench, &mut driver, 0, &[buffer(BUFFERS, 4096, 0)]);
    let finished = machine.start(&file, write_of(0, 0..4096), request).expect("at once");
    assert_eq!(outcome(&mut bench, finished).1.expect("written"), 4096);
}

#[test]
fn sync_and_holes_are_made_on_the_file() {
    for engine in ENGINES {
        let mut machine = Machine::new(engine);
        let (guest, file) = (Guest::new(), host_file(65536, Access::Cached));
        let (mut bench, mut driver) = guest.bench();
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        for operation in [Operation::Allocate { mode, offset: 4096, len: 8192 }, Operation::Sync] {
            let request = request(&mut bench, &mut driver, 0, &[buffer(BUFFERS, 16, 0)]);
            let finished = machine.perform(&file, operation, request);
            assert_eq!(outcome(&mut bench, finished).1.expect("done"), 0);
        }
        let expected = [pattern(0..4096), vec![0; 8192], pattern(12288..65536)];
        assert!(contents(&file) == expected.concat());
    }
}

#[test]
fn refusal_of_the_host_comes_back_with_its_errno() {
    everywhere(|machine, access| {
        let guest = Guest::new();
        let dir = tempfile::tempdir().expect("a directory");
        let write_only = File::create(dir.path().join("file")).expect("a file");
        let file = Arc::new(HostFile::new(write_only, access));
        let (mut bench, mut driver) = guest.bench();
        let request = request(&mut bench, &mut driver, 0, &[buffer(BUFFERS, 512, WRITE)]);
        let finished = machine.perform(&file, read_of(512, 512), request);
        let error = outcome(&mut bench, finished).1.expect_err("not open for reading");
        assert_eq!(error.raw_os_error(), Some(libc::EBADF), "{access:?}");
    });
}

#[test]
fn discard_of_what_is_no_block_device_comes_back_from_the_pool() {
    for engine in [Engine::Uring, Engine::Threads] {
        let mut machine = Machine::new(engine);
        let (guest, file) = (Guest::new(), host_file(8192, Access::Cached));
        let (mut bench, mut driver) = guest.bench();
        let request = request(&mut bench, &mut driver, 0, &[buffer(BUFFERS, 16, 0)]);
        let operation = Operation::Discard { offset: 0, len: 4096 };
        assert!(machine.start(&file, operation, request).is_none());
        let finished = machine.finished();
        let error = outcome(&mut bench, finished).1.expect_err("a file");
        assert_eq!(error.raw_os_error(), Some(libc::ENOTTY));
    }
}

#[test]
fn write_beyond_the_room_on_the_host_fails_with_its_errno() {
    everywhere(|machine, access| {
        let file = sys::sealed_memfd("sealed", 4096).expect("a file that cannot grow");
        file.write_all_at(&pattern(0..4096), 0).expect("written");
        let (guest, file) = (Guest::new(), Arc::new(HostFile::new(file, access)));
        let (mut bench, mut driver) = guest.bench();
        let request = request(&mut bench, &mut driver, 0, &[buffer(BUFFERS, 512, 0)]);
        let finished = machine.perform(&file, write_of(4096, 0..512), request);
        let error = outcome(&mut bench, finished).1.expect_err("it cannot grow");
        assert_eq!(error.raw_os_error(), Some(libc::EPERM), "{access:?}");
    });
}
