//! Sums of many lists of points, one addition after the other: where there is no `lanes`.

use crate::msm::{Add, Point};
use ark_bn254::{Fq, Fq2};
use ark_ff::{BigInt, Field};

/// Elements as they are kept.
pub trait Words: Field {
    const COUNT: usize;
    fn write(&self, store: &mut Vec<u64>);
    fn read(words: &[u64]) -> Self;
}

impl Words for Fq {
    const COUNT: usize = 4;
    fn write(&self, store: &mut Vec<u64>) {
        store.extend(self.0 .0);
    }
    fn read(words: &[u64]) -> Self {
        Fq::new_unchecked(BigInt::new(words.try_into().expect("four words")))
    }
}

impl Words for Fq2 {
    const COUNT: usize = 8;
    fn write(&self, store: &mut Vec<u64>) {
        self.c0.write(store);
        self.c1.write(store);
    }
    fn read(words: &[u64]) -> Self {
        Fq2::new(Fq::read(&words[..4]), Fq::read(&words[4..]))
    }
}

/// Adds many lists of points at once; its memory is used again.
pub struct Adder<F> {
    work: Vec<Point<F>>,
    next: Vec<Point<F>>,
    lengths: Vec<u32>,
    pairs: Vec<(u32, u32)>,
    products: Vec<F>,
}

impl<F> Default for Adder<F> {
    fn default() -> Self {
        Adder { work: vec![], next: vec![], lengths: vec![], pairs: vec![], products: vec![] }
    }
}

impl<F: Words> Add<F> for Adder<F> {
    fn keep(store: &mut Vec<u64>, point: &Point<F>) {
        point.x.write(store);
        point.y.write(store);
    }

    fn kept(store: &[u64], at: usize) -> Point<F> {
        let words = &store[2 * F::COUNT * at..2 * F::COUNT * (at + 1)];
        Point { x: F::read(&words[..F::COUNT]), y: F::read(&words[F::COUNT..]) }
    }

    fn sums(&mut self, store: &[u64], entries: &[u32], lengths: impl Iterator<Item = u32>) -> Vec<Point<F>> {
        self.work.clear();
        self.work.extend(entries.iter().map(|&entry| {
            let point = Self::kept(store, (entry >> 1) as usize);
            if entry & 1 == 1 {
                Point { x: point.x, y: -point.y }
            } else {
                point
            }
        }));
        self.lengths.clear();
        self.lengths.extend(lengths);
        while self.lengths.iter().any(|&length| length > 1) {
            self.halve();
        }
        self.next.clear();
        let mut at = 0;
        for &length in &self.lengths {
            self.next.push(if length == 0 { Point::neutral() } else { self.work[at] });
            at += length as usize;
        }
        self.next.clone()
    }
}

impl<F: Field> Adder<F> {
    /// Adds neighbours of every list, so that it is half as long.
    fn halve(&mut self) {
        self.next.clear();
        self.pairs.clear();
        self.products.clear();
        let mut product = F::ONE;
        let mut at = 0usize;
        for length in self.lengths.iter_mut() {
            let end = at + *length as usize;
            while at + 1 < end {
                self.pairs.push((at as u32, self.next.len() as u32));
                self.products.push(product);
                product *= denominator(&self.work[at], &self.work[at + 1]);
                self.next.push(Point::neutral());
                at += 2;
            }
            if at < end {
                self.next.push(self.work[at]);
                at += 1;
            }
            *length = length.div_ceil(2);
        }
        let mut inverse = product.inverse().expect("no denominator is zero");
        for (&(from, to), before) in self.pairs.iter().zip(&self.products).rev() {
            let (p, q) = (&self.work[from as usize], &self.work[from as usize + 1]);
            self.next[to as usize] = add(p, q, inverse * before);
            inverse *= denominator(p, q);
        }
        std::mem::swap(&mut self.work, &mut self.next);
    }
}

/// What the slope of `p + q` is divided by; 1 where there is no slope.
fn denominator<F: Field>(p: &Point<F>, q: &Point<F>) -> F {
    if p.is_neutral() || q.is_neutral() {
        return F::ONE;
    }
    if p.x != q.x {
        return q.x - p.x;
    }
    if p.y == q.y {
        p.y.double()
    } else {
        F::ONE
    }
}

fn add<F: Field>(p: &Point<F>, q: &Point<F>, inverse: F) -> Point<F> {
    if p.is_neutral() {
        return *q;
    }
    if q.is_neutral() {
        return *p;
    }
    let slope = if p.x != q.x {
        (q.y - p.y) * inverse
    } else if p.y == q.y {
        let square = p.x.square();
        (square.double() + square) * inverse
    } else {
        return Point::neutral();
    };
    let x = slope.square() - p.x - q.x;
    Point { x, y: slope * (p.x - x) - p.y }
}
