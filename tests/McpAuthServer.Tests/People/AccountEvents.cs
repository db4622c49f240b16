using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.People;

internal static class AccountEvents
{
    /// <summary>An event for changes that a test makes by itself.</summary>
    public static AuditEvent Some(TestServer server) => new()
    {
        Id = Id.New(Id.Event, server.Time.GetUtcNow()), Time = server.Time.GetUtcNow().ToUnixTimeMilliseconds(), Type = AuditTypes.AccountChanged, Outcome = "success",
    };
}
