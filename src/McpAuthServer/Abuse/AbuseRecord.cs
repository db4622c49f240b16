using System.Text.Json.Nodes;
using McpAuth.Protocol.Audit;
using McpAuthServer.Audit;

namespace McpAuthServer.Abuse;

/// <summary>Records that somebody asks too often: once a minute for each caller and kind, however many requests there are.</summary>
internal sealed class AbuseRecord(AuditTrail trail)
{
    /// <param name="address">Address or prefix, where that is who asks.</param>
    public ValueTask ReportAsync(Shortage shortage, string? address = null, string? client = null, string? user = null)
    {
        if (!shortage.Permits.ReportDue(shortage.Kind))
            return ValueTask.CompletedTask;
        var data = new JsonObject { ["by"] = Name(shortage.Permits.Of) };
        if (address is not null)
            data["address"] = address;
        return new(trail.RefuseAsync(trail.Refusal(AuditTypes.AbuseLimited, Name(shortage.Kind)) with { Client = client, User = user, Data = data }, []));
    }

    /// <summary>As the other names of the log: <c>failed_authentication</c>.</summary>
    private static string Name(Enum value) =>
        System.Text.Json.JsonNamingPolicy.SnakeCaseLower.ConvertName(value.ToString());
}
