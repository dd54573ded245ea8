//! Distinct demands get a small number each, so that queues and tables hold a number instead of a demand.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::demand::Demand;
use crate::resources::Resources;

/// Distinct demands at a time. Where nothing fits, a queue asks once for each shape in it: at 4,096 that
/// takes some 0.1 ms.
pub const SHAPES_LIMIT: usize = 4096;

/// A demand, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShapeId(pub u32);

/// There is no number for one more need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {limit} different demands at once; tasks that ask alike should say alike")]
pub struct TooManyShapes {
    /// How many there may be.
    pub limit: usize,
}

/// The demands of all known items. A number lives as long as an item uses it and is then given again.
#[derive(Debug)]
pub struct Shapes {
    shapes: Vec<Shape>,
    ids: FxHashMap<Arc<Demand>, ShapeId>,
    /// How many shapes each tenant has.
    tenants: FxHashMap<Arc<str>, usize>,
    free: Vec<ShapeId>,
    limit: usize,
}

#[derive(Debug)]
struct Shape {
    demand: Arc<Demand>,
    users: u64,
}

impl Default for Shapes {
    fn default() -> Self {
        Self::new(SHAPES_LIMIT)
    }
}

impl Shapes {
    /// None yet, and never more than `limit`.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        let (ids, tenants) = (FxHashMap::default(), FxHashMap::default());
        Self { shapes: Vec::new(), ids, tenants, free: Vec::new(), limit }
    }

    /// The number of a need, for one more user of it.
    ///
    /// # Errors
    ///
    /// When it is new and there are too many.
    pub fn intern(&mut self, demand: &Demand) -> Result<ShapeId, TooManyShapes> {
        if self.ids.len() >= self.limit && !self.ids.contains_key(demand) {
            return Err(TooManyShapes { limit: self.limit });
        }
        Ok(self.adopt(demand))
    }

    /// As [`Self::intern`] for an item that is admitted already: it has its number whatever the limit.
    pub fn adopt(&mut self, demand: &Demand) -> ShapeId {
        if let Some(id) = self.ids.get(demand) {
            self.shapes[id.0 as usize].users += 1;
            return *id;
        }
        let demand = Arc::new(demand.clone());
        *self.tenants.entry(Arc::clone(&demand.tenant)).or_default() += 1;
        let shape = Shape { demand: Arc::clone(&demand), users: 1 };
        let id = match self.free.pop() {
            Some(id) => {
                self.shapes[id.0 as usize] = shape;
                id
            }
            None => {
                self.shapes.push(shape);
                ShapeId(u32::try_from(self.shapes.len() - 1).unwrap_or(u32::MAX))
            }
        };
        self.ids.insert(demand, id);
        id
    }

    /// One user fewer. Give it once for each [`Self::intern`].
    pub fn release(&mut self, id: ShapeId) {
        let Some(shape) = self.shapes.get_mut(id.0 as usize).filter(|shape| shape.users > 0) else { return };
        shape.users -= 1;
        if shape.users == 0 {
            self.ids.remove(&shape.demand);
            if let Some(shapes) = self.tenants.get_mut(&shape.demand.tenant) {
                *shapes -= 1;
                if *shapes == 0 {
                    self.tenants.remove(&shape.demand.tenant);
                }
            }
            self.free.push(id);
        }
    }

    /// The demand behind a number; `None` where nobody uses it.
    #[must_use]
    pub fn demand(&self, id: ShapeId) -> Option<&Arc<Demand>> {
        self.shapes.get(id.0 as usize).filter(|shape| shape.users > 0).map(|shape| &shape.demand)
    }

    /// The resources of the demand behind a number.
    #[must_use]
    pub fn need(&self, id: ShapeId) -> Option<&Resources> {
        self.demand(id).map(|demand| &demand.resources)
    }

    /// Every demand with its number.
    pub fn all(&self) -> impl Iterator<Item = (ShapeId, &Arc<Demand>)> {
        let numbered = (0..).map(ShapeId).zip(&self.shapes);
        numbered.filter(|(_, shape)| shape.users > 0).map(|(id, shape)| (id, &shape.demand))
    }

    /// Whether there may be a task of this tenant, where there may be so many tenants.
    #[must_use]
    pub fn admits_tenant(&self, tenant: &str, limit: usize) -> bool {
        self.tenants.len() < limit || self.tenants.contains_key(tenant)
    }

    /// How many are in use.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpus(cpu_millis: u64) -> Demand {
        Demand::resources(Resources::cpus(cpu_millis))
    }

    #[test]
    fn equal_needs_share_a_number_which_is_given_again_after_its_last_user() {
        let mut shapes = Shapes::new(2);
        let one = shapes.intern(&cpus(1)).unwrap();
        assert_eq!(shapes.intern(&cpus(1)), Ok(one));
        let two = shapes.intern(&cpus(2)).unwrap();
        assert_eq!(shapes.intern(&cpus(3)), Err(TooManyShapes { limit: 2 }));
        shapes.release(one);
        assert_eq!(shapes.need(one), Some(&Resources::cpus(1)));
        shapes.release(one);
        shapes.release(one);
        assert_eq!(shapes.need(one), None);
        assert_eq!(shapes.intern(&cpus(3)), Ok(one));
        assert_eq!(
            (shapes.need(one), shapes.need(two)),
            (Some(&Resources::cpus(3)), Some(&Resources::cpus(2)))
        );
    }

    #[test]
    fn what_was_admitted_has_its_number_beyond_the_limit() {
        let mut shapes = Shapes::new(1);
        shapes.adopt(&cpus(1));
        shapes.adopt(&cpus(2));
        assert_eq!(shapes.len(), 2);
    }
}
