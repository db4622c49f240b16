namespace McpAuth.Cedar.Schemas;
public sealed partial class CedarSchema
{
    public string? FaultOf(Request request) => request is null ? "" : Actions.Count < 0 ? "" : null;
}
