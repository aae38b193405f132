//! How Plenary's own types are kept in each database, and sets of rows as one parameter.

use super::query::{Args, Query};
use crate::clock::Timestamp;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, DeserializeOwned},
};
use sqlx::{
    Decode, Encode, Postgres, Sqlite, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueFormat, PgValueRef, types::Oid},
    sqlite::{SqliteArgumentsBuffer, SqliteTypeInfo, SqliteValueRef},
};
use uuid::Uuid;

/// Microseconds between 1970 and 2000, where Postgres counts from.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;
/// Postgres's fixed numbers of these types (`pg_type.dat`); asking for them by name would cost a query.
const TIMESTAMPTZ: Oid = Oid(1184);
const TIMESTAMPTZ_ARRAY: Oid = Oid(1185);

impl Type<Sqlite> for Timestamp {
    fn type_info() -> SqliteTypeInfo {
        <i64 as Type<Sqlite>>::type_info()
    }

    fn compatible(ty: &SqliteTypeInfo) -> bool {
        <i64 as Type<Sqlite>>::compatible(ty)
    }
}

impl Encode<'_, Sqlite> for Timestamp {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Sqlite>::encode(self.as_micros(), buffer)
    }
}

impl<'r> Decode<'r, Sqlite> for Timestamp {
    fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
        let micros = <i64 as Decode<Sqlite>>::decode(value)?;
        Timestamp::from_micros(micros).ok_or_else(|| "out of the range of times".into())
    }
}

impl Type<Postgres> for Timestamp {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ)
    }
}

impl PgHasArrayType for Timestamp {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ_ARRAY)
    }
}

impl Encode<'_, Postgres> for Timestamp {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let micros = self.as_micros().checked_sub(POSTGRES_EPOCH_MICROS).ok_or("out of the range of times")?;
        Encode::<Postgres>::encode(micros, buffer)
    }
}

impl<'r> Decode<'r, Postgres> for Timestamp {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        match value.format() {
            PgValueFormat::Binary => {
                let micros = <i64 as Decode<Postgres>>::decode(value)?;
                let micros = micros.checked_add(POSTGRES_EPOCH_MICROS).ok_or("out of the range of times")?;
                Timestamp::from_micros(micros).ok_or_else(|| "out of the range of times".into())
            }
            PgValueFormat::Text => Ok(value.as_str()?.parse::<jiff::Timestamp>()?.into()),
        }
    }
}

/// An enum whose values are one lower_snake text in JSON and in both databases.
macro_rules! text_enum {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        $vis enum $name { $($(#[$variant_meta])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            /// The text in JSON and in the database.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text { $($text => Ok(Self::$variant),)+ other => Err(format!("no such {}: {other}", stringify!($name))) }
            }
        }

        impl<DB: sqlx::Database> sqlx::Type<DB> for $name where String: sqlx::Type<DB> {
            fn type_info() -> DB::TypeInfo { <String as sqlx::Type<DB>>::type_info() }
            fn compatible(ty: &DB::TypeInfo) -> bool { <String as sqlx::Type<DB>>::compatible(ty) }
        }

        impl<'q, DB: sqlx::Database> sqlx::Encode<'q, DB> for $name where &'static str: sqlx::Encode<'q, DB> {
            fn encode_by_ref(
                &self,
                buffer: &mut <DB as sqlx::Database>::ArgumentBuffer,
            ) -> Result<sqlx::encode::IsNull, sqlx::error::BoxDynError> {
                <&'static str as sqlx::Encode<'q, DB>>::encode(self.as_str(), buffer)
            }
        }

        impl<'r, DB: sqlx::Database> sqlx::Decode<'r, DB> for $name where &'r str: sqlx::Decode<'r, DB> {
            fn decode(value: <DB as sqlx::Database>::ValueRef<'r>) -> Result<Self, sqlx::error::BoxDynError> {
                <&'r str as sqlx::Decode<'r, DB>>::decode(value)?.parse().map_err(Into::into)
            }
        }
    };
}
pub(crate) use text_enum;

/// A value that is kept as JSON in a column of text, where nothing ever asks for a part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JsonText<T>(pub T);

impl<T, DB: sqlx::Database> Type<DB> for JsonText<T>
where
    String: Type<DB>,
{
    fn type_info() -> DB::TypeInfo {
        <String as Type<DB>>::type_info()
    }

    fn compatible(ty: &DB::TypeInfo) -> bool {
        <String as Type<DB>>::compatible(ty)
    }
}

impl<'q, T: Serialize, DB: sqlx::Database> Encode<'q, DB> for JsonText<T>
where
    String: Encode<'q, DB>,
{
    fn encode_by_ref(&self, buffer: &mut <DB as sqlx::Database>::ArgumentBuffer) -> Result<IsNull, BoxDynError> {
        <String as Encode<'q, DB>>::encode(serde_json::to_string(&self.0)?, buffer)
    }
}

impl<'r, T: DeserializeOwned, DB: sqlx::Database> Decode<'r, DB> for JsonText<T>
where
    &'r str: Decode<'r, DB>,
{
    fn decode(value: <DB as sqlx::Database>::ValueRef<'r>) -> Result<Self, BoxDynError> {
        Ok(Self(serde_json::from_str(<&'r str as Decode<'r, DB>>::decode(value)?)?))
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for JsonText<T> {
    /// From a text that holds JSON, as a batch reads it.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        serde_json::from_str(&text).map(Self).map_err(de::Error::custom)
    }
}

/// Many rows as the parameters of one statement, so that a batch costs a handful of statements whatever its size.
///
/// On SQLite they are two: a blob with the ids of each row one after the other, and a JSON array with an array of each row's
/// other values (the value itself, if there is one; times as microseconds, bytes in hexadecimal). On Postgres they are one
/// array a column, read with `UNNEST($n, $n+1, …)`. See [`super::batch_write`].
#[derive(Debug, Default)]
pub struct Columns(Vec<Column>);

#[derive(Debug)]
enum Column {
    Ids(Vec<Option<Uuid>>),
    Texts(Vec<Option<String>>),
    Integers(Vec<Option<i64>>),
    Times(Vec<Option<Timestamp>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

impl Columns {
    /// No column yet; all columns added must have the same length.
    pub fn new() -> Self {
        Self::default()
    }

    /// A column of ids. None is all zeros: on SQLite that is how an absent one is written.
    #[must_use]
    pub fn ids<T: Into<Option<Uuid>>>(self, values: impl IntoIterator<Item = T>) -> Self {
        self.with(Column::Ids(values.into_iter().map(Into::into).collect()))
    }

    /// A column of texts.
    #[must_use]
    pub fn texts<T: Into<String>>(self, values: impl IntoIterator<Item = Option<T>>) -> Self {
        self.with(Column::Texts(values.into_iter().map(|value| value.map(Into::into)).collect()))
    }

    /// A column of integers.
    #[must_use]
    pub fn integers<T: Into<Option<i64>>>(self, values: impl IntoIterator<Item = T>) -> Self {
        self.with(Column::Integers(values.into_iter().map(Into::into).collect()))
    }

    /// A column of times.
    #[must_use]
    pub fn times<T: Into<Option<Timestamp>>>(self, values: impl IntoIterator<Item = T>) -> Self {
        self.with(Column::Times(values.into_iter().map(Into::into).collect()))
    }

    /// A column of bytes.
    #[must_use]
    pub fn bytes<T: Into<Option<Vec<u8>>>>(self, values: impl IntoIterator<Item = T>) -> Self {
        self.with(Column::Bytes(values.into_iter().map(Into::into).collect()))
    }

    fn with(mut self, column: Column) -> Self {
        self.0.push(column);
        self
    }

    fn rows(&self) -> usize {
        self.0.first().map_or(0, Column::len)
    }

    /// The ids, row by row.
    fn to_blob(&self) -> Vec<u8> {
        let ids: Vec<&Vec<Option<Uuid>>> = self.0.iter().filter_map(Column::as_ids).collect();
        let mut blob = Vec::with_capacity(self.rows() * ids.len() * 16);
        for row in 0..self.rows() {
            ids.iter().for_each(|ids| blob.extend_from_slice(ids[row].unwrap_or_default().as_bytes()));
        }
        blob
    }

    /// The other values, row by row.
    fn to_json(&self) -> String {
        let others: Vec<&Column> = self.0.iter().filter(|column| column.as_ids().is_none()).collect();
        let mut json = String::with_capacity(16 + self.rows() * others.len() * 20);
        json.push('[');
        for row in 0..self.rows() {
            if row > 0 {
                json.push(',');
            }
            match others.as_slice() {
                [] => json.push('0'),
                [only] => only.write_json(row, &mut json),
                others => {
                    for (index, column) in others.iter().enumerate() {
                        json.push(if index == 0 { '[' } else { ',' });
                        column.write_json(row, &mut json);
                    }
                    json.push(']');
                }
            }
        }
        json.push(']');
        json
    }
}

impl Column {
    fn as_ids(&self) -> Option<&Vec<Option<Uuid>>> {
        match self {
            Self::Ids(ids) => Some(ids),
            Self::Texts(_) | Self::Integers(_) | Self::Times(_) | Self::Bytes(_) => None,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Ids(values) => values.len(),
            Self::Texts(values) => values.len(),
            Self::Integers(values) => values.len(),
            Self::Times(values) => values.len(),
            Self::Bytes(values) => values.len(),
        }
    }

    fn write_json(&self, row: usize, json: &mut String) {
        use std::fmt::Write;
        // Writing to a String can't fail.
        let _ = match self {
            Self::Ids(_) => Ok(()),
            Self::Texts(values) => match &values[row] {
                // What every enum of ours looks like needs no escaping.
                Some(text) if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') => write!(json, "\"{text}\""),
                Some(text) => write!(json, "{}", serde_json::Value::from(text.as_str())),
                None => write!(json, "null"),
            },
            Self::Integers(values) => match values[row] {
                Some(number) => write!(json, "{number}"),
                None => write!(json, "null"),
            },
            Self::Times(values) => match values[row] {
                Some(time) => write!(json, "{}", time.as_micros()),
                None => write!(json, "null"),
            },
            Self::Bytes(values) => match &values[row] {
                Some(bytes) => {
                    json.push('"');
                    let written = bytes.iter().try_for_each(|byte| write!(json, "{byte:02x}"));
                    json.push('"');
                    written
                }
                None => write!(json, "null"),
            },
        };
    }
}

impl Query<'_> {
    /// Binds rows: two parameters on SQLite, one a column on Postgres.
    #[must_use]
    pub fn bind_columns(mut self, columns: Columns) -> Self {
        debug_assert!(columns.0.iter().all(|column| column.len() == columns.rows()), "columns of one length");
        if let Ok(args) = &mut self.args
            && let Err(error) = add_columns(args, columns)
        {
            self.args = Err(error);
        }
        self
    }

    /// Binds a set of ids: `IN (SELECT unhex(value) FROM json_each($n))` on SQLite, `= ANY($n)` on Postgres.
    #[must_use]
    pub fn bind_ids(mut self, ids: &[Uuid]) -> Self {
        if let Ok(args) = &mut self.args {
            let added = match args {
                Args::Sqlite(args) => {
                    let hex: Vec<String> = ids.iter().map(|id| id.simple().to_string()).collect();
                    sqlx::Arguments::add(args, serde_json::json!(hex).to_string())
                }
                Args::Postgres(args) => sqlx::Arguments::add(args, ids.to_vec()),
            };
            if let Err(error) = added {
                self.args = Err(error);
            }
        }
        self
    }
}

pub(super) fn add_columns(args: &mut Args, columns: Columns) -> Result<(), BoxDynError> {
    use sqlx::Arguments;
    match args {
        Args::Sqlite(args) => {
            args.add(columns.to_blob())?;
            args.add(columns.to_json())
        }
        Args::Postgres(args) => columns.0.into_iter().try_for_each(|column| match column {
            Column::Ids(values) => args.add(values),
            Column::Texts(values) => args.add(values),
            Column::Integers(values) => args.add(values),
            Column::Times(values) => args.add(values),
            Column::Bytes(values) => args.add(values),
        }),
    }
}
