//! Rooms in the database: what they add to [`crate::keyed::store`].

use super::model::{Room, RoomForm};
use crate::{
    auth::guard::OfRoom,
    db::Query,
    keyed::{self, Common, Form, Keyed, Statements},
};

impl Keyed for Room {
    type Form = RoomForm;
    type Place = OfRoom;
    const PATH: &'static str = "/v1/rooms";
    const NOUN: &'static str = "room";
    const SQL: Statements = keyed::statements!("rooms", own: ["capacity" = "$7"], sessions: "room_id = $1", search: "sort_key");

    fn common(&self) -> &Common {
        &self.common
    }

    fn form(&self) -> RoomForm {
        RoomForm { key: Some(self.common.key.clone()), name: self.common.name.clone(), capacity: self.capacity }
    }
}

impl Form for RoomForm {
    fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn bind_own<'q>(&self, query: Query<'q>) -> Query<'q> {
        query.bind(self.capacity)
    }
}
