//! The kit can fail: what it waves through is worth nothing otherwise.

use crate::support::*;

on_both! {
    async fn the_server_answers(app: App) {
        let answer = app.get("/livez").send().await.expect(200);
        assert_eq!(answer.json["status"], "ok");
        app.get("/readyz").send().await.expect(200);
        app.get("/nowhere").send().await.problem(404, "not_found");
        app.get("/livez?x=1").send().await.problem(400, "invalid_parameter");
        assert_eq!(app.count("users").await, 0);
    }
}
