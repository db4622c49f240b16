using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace ConformanceServer;

/// <summary>Suggests words for any argument that begin like what is there.</summary>
internal static class Completion
{
    private static readonly string[] Words = ["paris", "park", "party", "test", "testing"];

    public static ValueTask<CompleteResult> HandleAsync(RequestContext<CompleteRequestParams> request, CancellationToken cancellationToken)
    {
        string begun = request.Params?.Argument.Value ?? "";
        List<string> values = [.. Words.Where(w => w.StartsWith(begun, StringComparison.Ordinal))];
        return new(new CompleteResult { Completion = new() { Values = values, Total = values.Count, HasMore = false } });
    }
}
