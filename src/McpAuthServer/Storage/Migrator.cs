namespace McpAuthServer.Storage;

/// <summary>
/// Brings the schema up to date before anything else uses it: the first hosted service, and callable by whoever needs the database sooner.
/// Everything happens in one transaction under a lock that ends with the connection, so a crash leaves neither half a schema nor a lock.
/// </summary>
internal sealed class Migrator(IMigrationTarget target, IReadOnlyList<Migration> known, TimeProvider time) : IHostedService
{
    /// <returns>The numbers applied now; empty when the schema was up to date.</returns>
    /// <exception cref="MigrationRefusedException">The database was made by a newer server, or by another text of a migration.</exception>
    public async Task<IReadOnlyList<int>> Apply(CancellationToken cancel)
    {
        await using var session = await target.Lock(cancel);
        await session.Execute(
            "create table if not exists schema_migrations "
            + "(number bigint primary key, name text not null, checksum text not null, applied_at bigint not null)", cancel);
        var pending = Migration.Pending(known, await session.Applied(cancel));
        foreach (var migration in pending)
        {
            await session.Execute(migration.Text, cancel);
            await session.Record(migration, time.GetUtcNow().ToUnixTimeMilliseconds(), cancel);
        }
        await session.Commit(cancel);
        return [.. pending.Select(m => m.Number)];
    }

    public Task StartAsync(CancellationToken cancellationToken) => Apply(cancellationToken);

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}

/// <summary>A database that can be migrated.</summary>
internal interface IMigrationTarget
{
    /// <summary>Opens a transaction that holds the migration lock; disposing without <see cref="IMigrationSession.Commit"/> undoes everything.</summary>
    Task<IMigrationSession> Lock(CancellationToken cancel);
}

/// <summary>One transaction of migrations.</summary>
internal interface IMigrationSession : IAsyncDisposable
{
    Task Execute(string text, CancellationToken cancel);

    Task<IReadOnlyList<AppliedMigration>> Applied(CancellationToken cancel);

    Task Record(Migration migration, long now, CancellationToken cancel);

    Task Commit(CancellationToken cancel);
}
