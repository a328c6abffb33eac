//! New objects: of the kinds of the program, texts, and many at once into slots.
//!
//! Invariant: numbers are given out as the interpreter gives them out, those of a `Fill` among them.

use super::{Action, Writer, target};
use crate::ops::Op;
use crate::search::model::{Slot, Thing};

/// Most objects of one `Fill`.
const FILL_MAX: u32 = 16;

impl Writer<'_> {
    pub(super) fn make(&mut self, action: Action) {
        match action {
            Action::Bytes => {
                let bytes = self.chooser.below(self.swarm.bytes + 1);
                let object = self.model.number(1);
                self.op(Op::Bytes { object, bytes });
                self.model.add(object, Thing::default());
            }
            Action::Fill => self.fill(),
            _ => {
                let kind = self.chooser.below(self.swarm.kinds.len() as u32) as u16;
                let pointers = self.swarm.kinds[usize::from(kind)].pointers.clone();
                let mut fields = Vec::new();
                for field in pointers {
                    if self.chooser.one_in(2) {
                        fields.push((field, self.value()));
                    }
                }
                let object = self.model.number(1);
                let leads = fields.iter().map(|(field, value)| (*field, target(*value)));
                let thing = Thing {
                    kind: Some(kind),
                    fields: leads.collect(),
                };
                self.op(Op::New {
                    object,
                    kind,
                    fields,
                });
                self.model.add(object, thing);
            }
        }
    }

    fn fill(&mut self) {
        let slots = self.model.top().len() as u32;
        if slots == 0 {
            return;
        }
        let slot = self.chooser.below(slots);
        let count = self.chooser.within(1, (slots - slot).min(FILL_MAX));
        let kinds = self.swarm.kinds.len() as u32;
        let kind = self.chooser.below(kinds) as u16;
        let is_shared = self.chooser.one_in(2);
        let shared =
            is_shared.then(|| (self.chooser.below(kinds) as u16, self.chooser.within(1, 4)));
        let first = self.model.number(2 * count);
        self.make_live(slot, count);
        self.op(Op::Fill {
            slot,
            count,
            first,
            kind,
            shared,
        });
        let field = self.swarm.kinds[usize::from(kind)]
            .pointers
            .first()
            .copied();
        let (mut next, mut group_of) = (first, 0);
        for at in 0..count {
            if let Some((kind, group)) = shared
                && at.is_multiple_of(group)
            {
                let kind = Some(kind);
                self.model.add(
                    next,
                    Thing {
                        kind,
                        ..Thing::default()
                    },
                );
                (group_of, next) = (next, next + 1);
            }
            let thing = Thing {
                kind: Some(kind),
                fields: field.map(|field| (field, group_of)).into_iter().collect(),
            };
            self.model.add(next, thing);
            self.model.top()[(slot + at) as usize] = Slot::Live(next);
            next += 1;
        }
    }
}
