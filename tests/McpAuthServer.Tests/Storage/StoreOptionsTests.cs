using McpAuthServer.Storage;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace McpAuthServer.Tests.Storage;

public class StoreOptionsTests
{
    [Theory]
    [InlineData("mysql", "a.db", "x", 1, 1)]
    [InlineData("sqlite", " ", "x", 1, 1)]
    [InlineData("postgres", "a.db", null, 1, 1)]
    [InlineData("sqlite", "a.db", null, 0, 1)]
    [InlineData("postgres", "a.db", "Host=x", 1, 0)]
    public void AddStore_WrongOption_IsRefusedAtStart(string provider, string path, string? connection, int queue, int writers) =>
        Assert.Throws<OptionsValidationException>(() => new ServiceCollection().AddStore(o =>
            (o.Provider, o.Path, o.ConnectionString, o.QueueLength, o.Writers) = (provider, path, connection, queue, writers)));
}
