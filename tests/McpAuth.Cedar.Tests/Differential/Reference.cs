using System.Diagnostics;
using System.Text;
using System.Text.Json;
using McpAuth.Testing;

namespace McpAuth.Cedar.Tests.Differential;

/// <summary>A fact that needs Node.js and <c>@cedar-policy/cedar-wasm</c>.</summary>
internal sealed class ReferenceFactAttribute() : SkipUnlessFactAttribute(InteropClients.Requirement.And(
    new(File.Exists(InteropClients.Package("@cedar-policy/cedar-wasm/package.json")), "The Cedar reference is not installed: 'npm ci --prefix tests/interop' does that.")));

/// <summary>The Cedar reference in a process of its own, which answers one line with another. For one thread at a time.</summary>
internal sealed class Reference : IDisposable
{
    /// <summary>Generated expressions nest deeper as JSON than a document may by default.</summary>
    public static readonly JsonDocumentOptions Deep = new() { MaxDepth = 1000 };

    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false);

    private readonly Process node;

    public Reference() => node = Process.Start(new ProcessStartInfo(InteropClients.Node!, [Path.Combine(InteropClients.Folder, "cedar.mjs")])
    {
        RedirectStandardInput = true,
        RedirectStandardOutput = true,
        StandardInputEncoding = Utf8,
        StandardOutputEncoding = Utf8,
    })!;

    /// <exception cref="InvalidOperationException">The process ended.</exception>
    public JsonElement Ask(string question)
    {
        node.StandardInput.WriteLine(question);
        node.StandardInput.Flush();
        return JsonElement.Parse(node.StandardOutput.ReadLine() ?? throw new InvalidOperationException($"The reference ended at: {question}"), Deep);
    }

    public void Dispose()
    {
        node.StandardInput.Close(); // the end of its input is the end of it
        if (!node.WaitForExit(5000)) node.Kill();
        node.Dispose();
    }
}
