//! The rows of a batch's answer on SQLite.
//!
//! They come as one value: a JSON array of rows without their ids, a zero byte, and the ids of all rows behind one another.
//! An id in hexadecimal costs more, to write and to read, than all else in a row.

use super::{Error, Result};
use serde::{
    Deserialize,
    de::{DeserializeOwned, DeserializeSeed, Deserializer, Error as _, SeqAccess, Visitor, value::SeqAccessDeserializer},
    forward_to_deserialize_any,
};
use std::{ffi::CStr, fmt, marker::PhantomData, slice::ChunksExact};

/// In the shape of a row: an id.
const ID: u8 = b'i';
/// Bytes of an id.
const ID_BYTES: usize = 16;

/// Reads the rows of an answer whose columns have this shape: `i` an id, anything else a value.
pub fn read<R: DeserializeOwned>(answer: &[u8], shape: &'static str) -> Result<Vec<R>> {
    let json = CStr::from_bytes_until_nul(answer).map_err(|error| Error::Decode(error.into()))?.to_bytes();
    let ids = answer[json.len() + 1..].chunks_exact(ID_BYTES);
    let rows = Rows { ids, shape: shape.as_bytes(), row: PhantomData };
    serde_json::Deserializer::from_slice(json).deserialize_seq(rows).map_err(|error| Error::Decode(error.into()))
}

struct Rows<'a, R> {
    ids: ChunksExact<'a, u8>,
    shape: &'static [u8],
    row: PhantomData<R>,
}

impl<'de, R: Deserialize<'de>> Visitor<'de> for Rows<'_, R> {
    type Value = Vec<R>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut rows: A) -> std::result::Result<Self::Value, A::Error> {
        let mut read = Vec::new();
        while let Some(row) = rows.next_element_seed(Row { ids: &mut self.ids, shape: self.shape, row: PhantomData })? {
            read.push(row);
        }
        let as_many = self.ids.next().is_none() && self.ids.remainder().is_empty();
        if as_many { Ok(read) } else { Err(A::Error::custom("more ids than the rows have")) }
    }
}

struct Row<'r, 'a, R> {
    ids: &'r mut ChunksExact<'a, u8>,
    shape: &'static [u8],
    row: PhantomData<R>,
}

impl<'de, R: Deserialize<'de>> DeserializeSeed<'de> for Row<'_, '_, R> {
    type Value = R;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<R, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, R: Deserialize<'de>> Visitor<'de> for Row<'_, '_, R> {
    type Value = R;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, values: A) -> std::result::Result<R, A::Error> {
        R::deserialize(SeqAccessDeserializer::new(Fields { shape: self.shape.iter(), ids: self.ids, values }))
    }
}

/// The fields of a row in their order, out of both places.
struct Fields<'r, 'a, A> {
    shape: std::slice::Iter<'static, u8>,
    ids: &'r mut ChunksExact<'a, u8>,
    values: A,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Fields<'_, '_, A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> std::result::Result<Option<T::Value>, A::Error> {
        match self.shape.next() {
            None => Ok(None),
            Some(&ID) => {
                let id = self.ids.next().ok_or_else(|| A::Error::custom("fewer ids than rows"))?;
                seed.deserialize(Id(id, PhantomData)).map(Some)
            }
            Some(_) => self.values.next_element_seed(seed),
        }
    }
}

/// An id, or none where all its bytes are zero.
struct Id<'a, E>(&'a [u8], PhantomData<E>);

impl<E> Id<'_, E> {
    fn is_none(&self) -> bool {
        self.0.iter().all(|byte| *byte == 0)
    }
}

impl<'de, E: serde::de::Error> Deserializer<'de> for Id<'_, E> {
    type Error = E;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, E> {
        if self.is_none() { Err(E::custom("an id is missing")) } else { visitor.visit_bytes(self.0) }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, E> {
        if self.is_none() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::read;
    use uuid::Uuid;

    type Row = (i64, Uuid, Option<String>, Option<Uuid>);

    #[test]
    fn fields_come_out_of_both_places_in_their_order() {
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut answer = br#"[[7,"a"],[8,null]]"#.to_vec();
        answer.push(0);
        for id in [one, two, two, Uuid::nil()] {
            answer.extend(id.as_bytes());
        }
        let rows: Vec<Row> = read(&answer, "vivi").expect("rows");
        assert_eq!(rows, [(7, one, Some("a".to_owned()), Some(two)), (8, two, None, None)]);
        assert_eq!(read::<Row>(b"[]\0", "vivi").expect("no rows"), []);
    }

    #[test]
    fn what_is_cut_short_is_no_answer() {
        assert!(read::<(Uuid,)>(b"[[],[]]\0aaaaaaaaaaaaaaaa", "i").is_err());
        assert!(read::<(Uuid,)>(b"[[]]", "i").is_err());
        assert!(read::<(i64,)>(b"[[1,2]]\0", "v").is_err(), "a value too many");
        assert!(read::<(Uuid,)>(b"[[]]\0aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb", "i").is_err(), "an id too many");
        assert!(read::<(Uuid,)>(&[b"[[]]\0".as_slice(), &[0; 16]].concat(), "i").is_err(), "an id that must be there");
    }
}
