use core::ops::Bound;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

use redb::{BackendError, StorageBackend};

const PAGE: u64 = 4096;

/// A database file under inspection: it is read, and what is written stays in memory.
///
/// redb repairs what it opens. A file that turns out to be damaged or not ours must stay as it was
/// found, for who wants to look at it, so it is opened like this first.
#[derive(Debug)]
pub(super) struct Overlay {
    file: File,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    length: u64,
    /// Up to where the file's own bytes count: less than its length once it was cut.
    original: u64,
    pages: BTreeMap<u64, Box<[u8; PAGE as usize]>>,
}

impl Overlay {
    pub(super) fn new(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self {
            file,
            written: Mutex::new(Written {
                length,
                original: length,
                pages: BTreeMap::new(),
            }),
        })
    }

    fn written(&self) -> std::sync::MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The page as the file has it, with zeros where it has nothing.
    fn load(&self, number: u64, original: u64) -> io::Result<Box<[u8; PAGE as usize]>> {
        let mut page = Box::new([0; PAGE as usize]);
        let start = number * PAGE;
        let have = original.saturating_sub(start).min(PAGE) as usize;
        self.file.read_exact_at(&mut page[..have], start)?;
        Ok(page)
    }
}

/// The pieces of a range that lie in one page each: page, start in the page, start in the range,
/// length.
fn pieces(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize, usize)> {
    let mut done = 0;
    core::iter::from_fn(move || {
        let at = offset + done as u64;
        let within = (at % PAGE) as usize;
        let piece = (length - done).min(PAGE as usize - within);
        let item = (at / PAGE, within, done, piece);
        done += piece;
        (piece > 0).then_some(item)
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.written().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let written = self.written();
        let end = offset.checked_add(out.len() as u64);
        if end.is_none_or(|end| end > written.length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if written.pages.is_empty() && written.original == written.length {
            return self.file.read_exact_at(out, offset);
        }
        for (number, within, start, length) in pieces(offset, out.len()) {
            let out = &mut out[start..start + length];
            match written.pages.get(&number) {
                Some(page) => out.copy_from_slice(&page[within..within + length]),
                None => {
                    let page = self.load(number, written.original)?;
                    out.copy_from_slice(&page[within..within + length]);
                }
            }
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut written = self.written();
        if length < written.length {
            written.original = written.original.min(length);
            let _ = written.pages.split_off(&length.div_ceil(PAGE));
            if let Some(page) = written.pages.get_mut(&(length / PAGE)) {
                page[(length % PAGE) as usize..].fill(0);
            }
        }
        written.length = length;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut written = self.written();
        let original = written.original;
        for (number, within, start, length) in pieces(offset, data.len()) {
            let page = match written.pages.entry(number) {
                Entry::Occupied(page) => page.into_mut(),
                Entry::Vacant(place) => place.insert(self.load(number, original)?),
            };
            page[within..within + length].copy_from_slice(&data[start..start + length]);
        }
        written.length = written.length.max(offset + data.len() as u64);
        Ok(())
    }

    // The store's own lock is held: nobody else is there to be kept out.
    fn try_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn unlock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Write(u64, Vec<u8>),
        Length(u64),
        Read(u64, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let data = prop::collection::vec(any::<u8>(), 0..6000);
        prop_oneof![
            (0..20_000u64, data).prop_map(|(offset, data)| Step::Write(offset, data)),
            (0..25_000u64).prop_map(Step::Length),
            (0..25_000u64, 0..9000usize).prop_map(|(offset, length)| Step::Read(offset, length)),
        ]
    }

    proptest! {
        #[test]
        fn an_overlay_behaves_like_the_file_and_leaves_it_alone(
            original in prop::collection::vec(any::<u8>(), 0..20_000),
            steps in prop::collection::vec(step(), 0..30),
        ) {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &original).unwrap();
            let overlay = Overlay::new(File::open(file.path()).unwrap()).unwrap();
            let mut model = original.clone();
            for step in steps {
                match step {
                    Step::Write(offset, data) => {
                        let end = offset as usize + data.len();
                        model.resize(model.len().max(end), 0);
                        model[offset as usize..end].copy_from_slice(&data);
                        overlay.write(offset, &data).unwrap();
                    }
                    Step::Length(length) => {
                        model.resize(length as usize, 0);
                        overlay.set_len(length).unwrap();
                    }
                    Step::Read(offset, length) => {
                        let mut out = vec![0; length];
                        let read = overlay.read(offset, &mut out);
                        let expected = model.get(offset as usize..offset as usize + length);
                        prop_assert_eq!(read.ok().map(|()| &out[..]), expected);
                    }
                }
                prop_assert_eq!(overlay.len().unwrap(), model.len() as u64);
            }
            prop_assert_eq!(std::fs::read(file.path()).unwrap(), original);
        }
    }
}
