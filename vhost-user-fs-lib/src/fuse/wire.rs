// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Structures as bytes: field after field, without holes.

/// Something with a fixed number of bytes.
pub(crate) trait Wire: Sized {
    /// How many.
    const SIZE: usize;

    /// Takes it from the front of `bytes`. What is missing there is zero.
    fn take(bytes: &mut &[u8]) -> Self;

    /// Puts it at the front of `room`, which becomes what is behind it. What does not fit is left out.
    fn put(&self, room: &mut &mut [u8]);
}

macro_rules! numbers {
    ($($number:ty),*) => {
        $(impl Wire for $number {
            const SIZE: usize = size_of::<Self>();

            #[inline(always)]
            fn take(bytes: &mut &[u8]) -> Self {
                let Some((first, rest)) = bytes.split_first_chunk() else {
                    *bytes = &[];
                    return 0;
                };
                *bytes = rest;
                Self::from_ne_bytes(*first)
            }

            #[inline(always)]
            fn put(&self, room: &mut &mut [u8]) {
                if let Some((first, rest)) = std::mem::take(room).split_first_chunk_mut() {
                    *first = self.to_ne_bytes();
                    *room = rest;
                }
            }
        })*
    };
}

numbers!(u16, u32, u64, i32, i64);

/// No bytes at all.
impl Wire for () {
    const SIZE: usize = 0;

    fn take(_bytes: &mut &[u8]) -> Self {}

    fn put(&self, _room: &mut &mut [u8]) {}
}

/// What has no meaning (yet): zero in what we write, anything in what we read.
impl<const N: usize> Wire for [u32; N] {
    const SIZE: usize = 4 * N;

    #[inline(always)]
    fn take(bytes: &mut &[u8]) -> Self {
        std::array::from_fn(|_| u32::take(bytes))
    }

    #[inline(always)]
    fn put(&self, room: &mut &mut [u8]) {
        for number in self {
            number.put(room);
        }
    }
}

/// Structures: their name here, their size in bytes, and their fields in order.
macro_rules! wire {
    ($($(#[$doc:meta])* $name:ident[$size:literal] { $($field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
            pub(crate) struct $name {
                $(pub(crate) $field: $type,)*
            }

            impl $crate::fuse::wire::Wire for $name {
                const SIZE: usize = $size;

                #[inline(always)]
                fn take(bytes: &mut &[u8]) -> Self {
                    Self { $($field: <$type as $crate::fuse::wire::Wire>::take(bytes),)* }
                }

                #[inline(always)]
                fn put(&self, room: &mut &mut [u8]) {
                    $(self.$field.put(room);)*
                }
            }

            const _: () = {
                use $crate::fuse::wire::Wire;
                assert!($size == 0 $(+ <$type as Wire>::SIZE)*);
            };
        )*
    };
}

pub(super) use wire;

#[cfg(test)]
mod tests {
    use super::*;

    wire! {
        /// For the tests.
        Pair[12] { a: u32, b: u64, }
    }

    #[test]
    fn fields_are_taken_in_order_and_the_rest_is_left() {
        let bytes: Vec<u8> = [&1u32.to_ne_bytes()[..], &2u64.to_ne_bytes(), &[9, 9]].concat();
        let mut rest = bytes.as_slice();
        assert_eq!(Pair::take(&mut rest), Pair { a: 1, b: 2 });
        assert_eq!(rest, [9, 9]);
    }

    #[test]
    fn missing_bytes_are_zero() {
        let mut rest = &[1, 0, 0, 0, 7, 7][..];
        assert_eq!(Pair::take(&mut rest), Pair { a: u32::from_ne_bytes([1, 0, 0, 0]), b: 0 });
        assert!(rest.is_empty());
    }

    #[test]
    fn what_is_put_is_taken_again_and_a_short_room_gets_less() {
        let pair = Pair { a: 0x1234_5678, b: u64::MAX };
        let mut room = [0; 14];
        let mut rest = room.as_mut_slice();
        pair.put(&mut rest);
        assert_eq!(rest.len(), 2);
        assert_eq!(Pair::take(&mut room.as_slice()), pair);
        let mut short = [0; 6];
        pair.put(&mut short.as_mut_slice());
        assert_eq!(short[..4], 0x1234_5678_u32.to_ne_bytes());
        assert_eq!(short[4..], [0, 0]);
    }
}
