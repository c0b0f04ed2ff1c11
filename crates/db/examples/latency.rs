//! Prints what a read and a write cost on this machine: `cargo run --release -p db --example latency`.

use std::time::{Duration, Instant};

use db::{Db, MigrationSet, Settings, migrations, params};

const SET: MigrationSet = MigrationSet {
    module: "latency",
    migrations: migrations![(1, "items", "CREATE TABLE items (id {id} PRIMARY KEY, name {key:100} NOT NULL, price {money} NOT NULL)")],
};

db::row! {
    /// What a point read brings.
    struct Item {
        id: [u8; 16],
        name: String,
        price: i64,
    }
}

fn id(number: u64) -> [u8; 16] {
    (u128::from(number) * 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes()
}

fn per(rounds: u32, what: &str, started: Instant) {
    println!("{what}: {:.2} µs", (started.elapsed() / rounds).as_secs_f64() * 1e6);
}

/// Has 32 clients do something so often, and prints the rate.
async fn together<F: Future<Output = Result<(), db::Error>> + Send + 'static>(
    what: &str,
    each: u64,
    act: impl Fn(u64) -> F + Clone + Send + 'static,
) {
    let started = Instant::now();
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..32 {
        let act = act.clone();
        clients.spawn(async move {
            for round in 0..each {
                act(client * each + round).await.expect("the database answers");
            }
        });
    }
    clients.join_all().await;
    println!("{what}, 32 clients: {:.0}/s", (32 * each) as f64 / started.elapsed().as_secs_f64());
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), db::Error> {
    let path = std::env::temp_dir().join(format!("latency-{}.db", std::process::id()));
    let url = std::env::args().nth(1).unwrap_or_else(|| format!("sqlite:{}", path.display()));
    let db = Db::open(Settings { url, ..Settings::default() })?;
    db.migrate(&[SET])?;
    let started = Instant::now();
    db.write(|tx| {
        for number in 0..10_000 {
            tx.execute("INSERT INTO items (id, name, price) VALUES (?, ?, ?)", params![id(number), "An item", 100])?;
        }
        Ok::<_, db::Error>(())
    })
    .await?;
    per(10_000, "insert in one transaction", started);
    let rounds = 200_000;
    for _ in 0..2 {
        let started = Instant::now();
        let mut done = 0;
        while done < rounds && started.elapsed() < Duration::from_secs(3) {
            let wanted = id(u64::from(done % 10_000));
            let item: Item = db.read(move |c| c.one("SELECT id, name, price FROM items WHERE id = ?", params![wanted])).await?;
            std::hint::black_box((item.id, item.name, item.price));
            done += 1;
        }
        per(done, "point read", started);
        let started = Instant::now();
        for round in 0..rounds / 10 {
            let wanted = id(u64::from(round % 10_000));
            db.read(move |c| {
                c.one::<Item>("SELECT id, name, price FROM items WHERE id = ?", params![wanted])?;
                c.one::<i64>("SELECT price FROM items WHERE id = ?", params![wanted])
            })
            .await?;
        }
        per(rounds / 10, "two point reads in one closure", started);
    }
    let started = Instant::now();
    for round in 0..1_000 {
        db.write(move |tx| tx.execute("UPDATE items SET price = price + 1 WHERE id = ?", params![id(round)])).await?;
    }
    per(1_000, "lone durable write", started);
    let (reader, writer) = (db.clone(), db.clone());
    together("point reads", 10_000, move |number| {
        let db = reader.clone();
        let wanted = id(number % 10_000);
        async move { db.read(move |c| c.one::<Item>("SELECT id, name, price FROM items WHERE id = ?", params![wanted])).await.map(drop) }
    })
    .await;
    together("durable inserts", 1_000, move |number| {
        let db = writer.clone();
        let new = id(20_000 + number);
        let insert =
            move |tx: &mut db::Tx<'_>| tx.execute("INSERT INTO items (id, name, price) VALUES (?, ?, ?)", params![new, "An item", 100]);
        async move { db.write(insert).await.map(drop) }
    })
    .await;
    println!("{:?}", db.stats());
    db.close().await;
    drop(std::fs::remove_file(path));
    Ok(())
}
