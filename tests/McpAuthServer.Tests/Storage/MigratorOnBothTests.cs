using McpAuth.Testing;
using McpAuthServer.Storage;

namespace McpAuthServer.Tests.Storage;

public sealed class SqliteMigratorTests : MigratorTests
{
    private readonly TempDirectory directory = new();

    private protected override bool OnPostgres => false;

    private protected override int Writers => 1;

    private protected override Task<Action<StoreOptions>> NewDatabaseAsync() => Task.FromResult(Sqlite(directory));

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        directory.Dispose();
    }
}

[NeedsPostgres]
public sealed class PostgresMigratorTests : MigratorTests
{
    private protected override bool OnPostgres => true;

    private protected override int Writers => 4;

    private protected override Task<Action<StoreOptions>> NewDatabaseAsync() => Postgres(migrated: false);
}
