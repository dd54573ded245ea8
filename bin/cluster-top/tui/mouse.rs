//! What a click or a turn of the wheel leads to: it depends on what was drawn there last.

use std::ops::Range;

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::view::{Effect, Typing, View};

/// Rows that one turn of the wheel goes.
const TURN: usize = 3;

/// Where things were drawn.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    /// The line of the tables' names, and where in it each stands.
    pub(super) tabs: (u16, Vec<Range<u16>>),
    /// The line of the columns' heads, and where in it each stands.
    pub(super) heads: (u16, Vec<(Range<u16>, usize)>),
    /// The rows.
    pub(super) rows: Rect,
    /// The details.
    pub(super) detail: Rect,
}

impl View {
    pub(super) fn mouse(&mut self, event: MouseEvent) -> Effect {
        let at = Position { x: event.column, y: event.row };
        match event.kind {
            MouseEventKind::Down(MouseButton::Left) => self.click(at),
            MouseEventKind::ScrollDown => self.wheel(at, true),
            MouseEventKind::ScrollUp => self.wheel(at, false),
            _ => Effect::Nothing,
        }
    }

    fn click(&mut self, at: Position) -> Effect {
        if self.help || self.typing != Typing::Nothing {
            (self.help, self.typing) = (false, Typing::Nothing);
            return Effect::Shown;
        }
        let Places { tabs, heads, rows, .. } = &self.places;
        if at.y == tabs.0
            && let Some(tab) = tabs.1.iter().position(|place| place.contains(&at.x))
        {
            return self.turn(tab);
        }
        if at.y == heads.0
            && let Some((_, column)) = heads.1.iter().find(|(place, _)| place.contains(&at.x))
        {
            let column = *column;
            self.sort_by(column);
            return Effect::Shown;
        }
        if !rows.contains(at) {
            return Effect::Nothing;
        }
        let row = self.top + usize::from(at.y - rows.y);
        if row >= self.shown().rows.len() {
            return Effect::Nothing;
        }
        // A second click on a row is as enter.
        if row == self.selected {
            return self.open();
        }
        self.selected = row;
        Effect::Shown
    }

    fn wheel(&mut self, at: Position, down: bool) -> Effect {
        if self.detail.is_some() && self.places.detail.contains(at) {
            let scroll = u16::try_from(TURN).unwrap_or(1);
            self.scroll =
                if down { self.scroll.saturating_add(scroll) } else { self.scroll.saturating_sub(scroll) };
            return Effect::Shown;
        }
        let last = self.shown().rows.len().saturating_sub(1);
        self.selected =
            if down { (self.selected + TURN).min(last) } else { self.selected.saturating_sub(TURN) };
        Effect::Shown
    }
}
