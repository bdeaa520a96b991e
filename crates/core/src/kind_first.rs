//! Records in the log: JSON objects with their kind first, `{"kind":"decided", ...}`, read in one
//! pass.
//!
//! What serde derives for an enum with its tag inside takes the whole object apart before it reads
//! any of it, since the tag may be anywhere; that is most of what a start or a walk spends on
//! reading. Here it is first, because that is how it is written.

use core::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, EnumAccess, Error, IgnoredAny, MapAccess, VariantAccess, Visitor,
        value::MapAccessDeserializer,
    },
    forward_to_deserialize_any,
};

/// Makes an enum of records: written as serde does with a tag inside, read by [`KindFirst`].
macro_rules! records {
    ($(#[$of:meta])* pub enum Record { $($variants:tt)* }) => {
        $(#[$of])*
        #[derive(serde::Serialize)]
        #[serde(tag = "kind", rename_all = "snake_case")]
        pub enum Record { $($variants)* }

        impl<'de> serde::Deserialize<'de> for Record {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                /// The same with the kind outside, which is what serde reads in one pass.
                #[derive(serde::Deserialize)]
                #[serde(remote = "Record", rename_all = "snake_case")]
                enum Outside { $($variants)* }

                Outside::deserialize($crate::kind_first::KindFirst(from))
            }
        }
    };
}
pub(crate) use records;

/// Reads such an object as an enum that has its kind outside.
pub(crate) struct KindFirst<D>(pub D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for KindFirst<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(Object(visitor))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

struct Object<V>(V);

impl<'de, V: Visitor<'de>> Visitor<'de> for Object<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with its kind first")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<V::Value, A::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum First {
            Kind,
        }
        let first = object.next_key()?;
        let First::Kind = first.ok_or_else(|| A::Error::missing_field("kind"))?;
        self.0.visit_enum(Rest(object))
    }
}

/// What comes after the kind: at first its value, then the fields.
struct Rest<A>(A);

impl<'de, A: MapAccess<'de>> EnumAccess<'de> for Rest<A> {
    type Error = A::Error;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(
        mut self,
        seed: S,
    ) -> Result<(S::Value, Self), A::Error> {
        Ok((self.0.next_value_seed(seed)?, self))
    }
}

impl<'de, A: MapAccess<'de>> VariantAccess<'de> for Rest<A> {
    type Error = A::Error;

    fn unit_variant(mut self) -> Result<(), A::Error> {
        while self.0.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        seed.deserialize(MapAccessDeserializer::new(self.0))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, A::Error> {
        Err(A::Error::custom("an object has no fields without names"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        visitor.visit_map(self.0)
    }
}
