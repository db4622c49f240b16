using McpAuth.Testing;
using McpAuthServer.Storage;
using McpAuthServer.Tests.Storage;

namespace McpAuthServer.Tests.Registry;

/// <summary>The registry on a database of the test's own; what the suites say holds on either kind.</summary>
public abstract class RegistrySuite : StoreSuite
{
    private readonly TempDirectory directory = new();

    private protected RegistryHarness Registry { get; private set; } = null!;

    private protected ManualTime Time { get; } = new();

    private protected abstract bool OnPostgres { get; }

    private protected override int Writers => OnPostgres ? 4 : 1;

    private protected override Task<Action<StoreOptions>> NewDatabaseAsync() => OnPostgres ? Postgres(migrated: true) : Task.FromResult(Sqlite(directory));

    private protected override async Task Prepare()
    {
        Registry = new RegistryHarness(Store, Time);
        await Arrange();
    }

    /// <summary>What is registered before each test.</summary>
    private protected virtual Task Arrange() => Task.CompletedTask;

    /// <summary>The same database as another process sees it: connections of its own.</summary>
    private protected async Task<RegistryHarness> AnotherProcess() => new(await Node(), Time);

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        directory.Dispose();
    }
}

public sealed class SqliteRegistryApplyTests : RegistryApplyTests
{
    private protected override bool OnPostgres => false;
}

[NeedsPostgres]
public sealed class PostgresRegistryApplyTests : RegistryApplyTests
{
    private protected override bool OnPostgres => true;
}

public sealed class SqliteApplyStateTests : ApplyStateTests
{
    private protected override bool OnPostgres => false;
}

[NeedsPostgres]
public sealed class PostgresApplyStateTests : ApplyStateTests
{
    private protected override bool OnPostgres => true;
}

public sealed class SqliteToolReportTests : ToolReportTests
{
    private protected override bool OnPostgres => false;
}

[NeedsPostgres]
public sealed class PostgresToolReportTests : ToolReportTests
{
    private protected override bool OnPostgres => true;
}

public sealed class SqliteToolMarkTests : ToolMarkTests
{
    private protected override bool OnPostgres => false;
}

[NeedsPostgres]
public sealed class PostgresToolMarkTests : ToolMarkTests
{
    private protected override bool OnPostgres => true;
}

public sealed class SqliteToolsSideBySideTests : ToolsSideBySideTests
{
    private protected override bool OnPostgres => false;
}

[NeedsPostgres]
public sealed class PostgresToolsSideBySideTests : ToolsSideBySideTests
{
    private protected override bool OnPostgres => true;
}

public sealed class SqliteRegistryCacheTests : RegistryCacheTests
{
    private protected override bool OnPostgres => false;
}

[NeedsPostgres]
public sealed class PostgresRegistryCacheTests : RegistryCacheTests
{
    private protected override bool OnPostgres => true;
}
