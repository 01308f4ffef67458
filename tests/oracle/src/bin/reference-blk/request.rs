// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! One request to a block device (virtio 1.3, section 5.2.6), however it is cut into descriptors.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;

use virtio_bindings::virtio_blk::{
    VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_OK, VIRTIO_BLK_S_UNSUPP, VIRTIO_BLK_T_FLUSH,
    VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT,
};
use virtio_queue::{DescriptorChain, Reader, Writer};
use vm_memory::{GuestMemoryLoadGuard, GuestMemoryMmap};

/// Bytes of a sector.
pub(crate) const SECTOR: u64 = 512;

/// What the device says that it is: the same as QEMU's, so that one test fits both.
const ID: &[u8; 20] = b"vhost_user_blk\0\0\0\0\0\0";

type Memory = GuestMemoryLoadGuard<GuestMemoryMmap>;

/// Serves a request and returns how many bytes of it were written.
pub(crate) fn serve(
    disk: &File,
    memory: &Memory,
    chain: DescriptorChain<Memory>,
) -> io::Result<u32> {
    let mut reader: Reader<'_> = chain.clone().reader(memory).map_err(io::Error::other)?;
    let mut writer: Writer<'_> = chain.writer(memory).map_err(io::Error::other)?;
    let Some(room) = writer.available_bytes().checked_sub(1) else { return Ok(0) };
    let mut status = writer.split_at(room).map_err(io::Error::other)?;
    let said = match execute(disk, &mut reader, &mut writer) {
        Ok(said) => said,
        Err(_) => VIRTIO_BLK_S_IOERR,
    };
    status.write_all(&[u8::try_from(said).map_err(io::Error::other)?])?;
    u32::try_from(writer.bytes_written() + 1).map_err(io::Error::other)
}

fn execute(disk: &File, reader: &mut Reader<'_>, writer: &mut Writer<'_>) -> io::Result<u32> {
    let kind: u32 = reader.read_obj()?;
    let _reserved: u32 = reader.read_obj()?;
    let sector = u64::from_le(reader.read_obj()?);
    let offset = sector.checked_mul(SECTOR).ok_or(io::ErrorKind::InvalidInput)?;
    match u32::from_le(kind) {
        VIRTIO_BLK_T_IN => {
            let mut bytes = vec![0; writer.available_bytes()];
            disk.read_exact_at(&mut bytes, offset)?;
            writer.write_all(&bytes)?;
        }
        VIRTIO_BLK_T_OUT => {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes)?;
            let end = offset.checked_add(bytes.len() as u64).ok_or(io::ErrorKind::InvalidInput)?;
            if end > disk.metadata()?.len() {
                return Ok(VIRTIO_BLK_S_IOERR);
            }
            disk.write_all_at(&bytes, offset)?;
        }
        VIRTIO_BLK_T_FLUSH => disk.sync_data()?,
        VIRTIO_BLK_T_GET_ID => writer.write_all(ID)?,
        _ => return Ok(VIRTIO_BLK_S_UNSUPP),
    }
    Ok(VIRTIO_BLK_S_OK)
}
