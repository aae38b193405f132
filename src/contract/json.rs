//! JSON as RFC 8259 would like it: a key given twice is an error, and it says where.

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess};
use serde_json::{Map, Number, Value};
use std::{cell::RefCell, fmt};

/// Why a text is not the JSON we take.
pub enum JsonError {
    /// RFC 6901 pointer of the key that is given twice.
    DuplicateKey(String),
    /// What the parser says, without any of the text.
    Malformed(String),
}

/// Parses a body. Depth is limited by the parser (128).
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    let duplicate = RefCell::new(None);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let parsed = Strict(&duplicate).deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    parsed.map_err(|error| match duplicate.into_inner() {
        Some(pointer) => JsonError::DuplicateKey(pointer),
        None => JsonError::Malformed(error.to_string()),
    })
}

/// Builds a [`Value`]; the cell takes the pointer of a duplicate key, put together while the error unwinds.
#[derive(Clone, Copy)]
struct Strict<'a>(&'a RefCell<Option<String>>);

impl Strict<'_> {
    fn inside(self, step: &str) {
        if let Some(pointer) = self.0.borrow_mut().as_mut() {
            pointer.insert_str(0, &format!("/{}", super::escape(step)));
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> de::Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        loop {
            match access.next_element_seed(self) {
                Ok(Some(item)) => items.push(item),
                Ok(None) => return Ok(Value::Array(items)),
                Err(error) => {
                    self.inside(&items.len().to_string());
                    return Err(error);
                }
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            if object.contains_key(&key) {
                *self.0.borrow_mut() = Some(format!("/{}", super::escape(&key)));
                return Err(de::Error::custom("duplicate key"));
            }
            match access.next_value_seed(self) {
                Ok(value) => object.insert(key, value),
                Err(error) => {
                    self.inside(&key);
                    return Err(error);
                }
            };
        }
        Ok(Value::Object(object))
    }
}
