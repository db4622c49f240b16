[assembly: CollectionBehavior(DisableTestParallelization = true)]

namespace McpAuth.EndToEnd.Harness;

/// <summary>One authorization server on SQLite and two guarded tool servers, shared by the classes that put back what they break.</summary>
public sealed class Installation : IAsyncLifetime
{
    public const string Name = "installation";

    public Deployment Deployment { get; private set; } = null!;

    public async Task InitializeAsync() => Deployment = await Deployment.StartAsync(postgres: null, nodes: 1, "files", "archive");

    public async Task DisposeAsync() => await Deployment.DisposeAsync();
}

[CollectionDefinition(Installation.Name)]
public sealed class InstallationDefinition : ICollectionFixture<Installation>;
